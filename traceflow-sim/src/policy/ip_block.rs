//! Ranges of addresses with holes.

use std::net::IpAddr;

use ipnet::IpNet;
use traceflow_core::input::{BadInput, Field, Problem};

/// An `ipBlock`: the addresses of one network without those of its exceptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpBlock {
    cidr: IpNet,
    except: Vec<IpNet>,
}

/// An exception that is not a smaller part of its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{except} is not a smaller part of {cidr}")]
pub struct NotInside {
    /// The block.
    pub cidr: IpNet,
    /// The exception.
    pub except: IpNet,
}

impl IpBlock {
    /// The addresses of `cidr` without those in `except`.
    ///
    /// ```
    /// use traceflow_sim::policy::IpBlock;
    ///
    /// let block = IpBlock::new("10.0.0.0/8".parse()?, vec!["10.1.0.0/16".parse()?])?;
    /// assert!(block.contains("10.2.0.1".parse()?));
    /// assert!(!block.contains("10.1.0.1".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`NotInside`] for the first exception that is not a strict subset of `cidr`.
    pub fn new(cidr: IpNet, except: Vec<IpNet>) -> Result<Self, NotInside> {
        match except.iter().find(|&&part| !is_smaller_part(part, cidr)) {
            Some(&outside) => Err(NotInside { cidr, except: outside }),
            None => Ok(Self { cidr, except }),
        }
    }

    /// Reads an `ipBlock`, which must obey the API server's rules.
    ///
    /// As there, bits behind the prefix don't count: `10.0.0.1/8` is `10.0.0.0/8`.
    ///
    /// # Errors
    /// Its first mistake, with the place. IPv4 written as IPv6 (`::ffff:10.0.0.0/104`) and leading zeros
    /// are mistakes.
    pub fn read(block: &Field<'_>) -> Result<Self, BadInput> {
        block.only(&["cidr", "except"])?;
        let cidr = read_network(&block.required("cidr")?)?;
        let mut except = Vec::new();
        for part_field in block.items("except")? {
            let part = read_network(&part_field)?;
            if !is_smaller_part(part, cidr) {
                return Err(part_field.error(Problem::Conflict {
                    what: NotInside { cidr, except: part }.to_string().into(),
                    remedy: "use networks inside the cidr".into(),
                }));
            }
            except.push(part);
        }
        Ok(Self { cidr, except })
    }

    /// The whole block, its exceptions included, as it was written.
    pub fn cidr(&self) -> IpNet {
        self.cidr
    }

    /// The exceptions, as they were written.
    pub fn except(&self) -> &[IpNet] {
        &self.except
    }

    /// Whether the block holds `address`; never if it is of the other family.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.cidr.contains(&address) && !self.except.iter().any(|part| part.contains(&address))
    }
}

fn is_smaller_part(part: IpNet, cidr: IpNet) -> bool {
    cidr.contains(&part) && part.prefix_len() > cidr.prefix_len()
}

fn read_network(field: &Field<'_>) -> Result<IpNet, BadInput> {
    let text = field.string()?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Err(field.invalid(format!("{} for this one address", IpNet::from(address))));
    }
    // The parser of networks takes leading zeros, which programs read as decimal or octal as they please.
    let (address, _) = text.split_once('/').unwrap_or_default();
    let network = address.parse::<IpAddr>().ok().and_then(|_| text.parse().ok());
    match network {
        Some(IpNet::V6(network)) if network.addr().to_ipv4_mapped().is_some() => {
            Err(field.invalid("an IPv4 network in its own form, such as 10.0.0.0/8"))
        }
        Some(network) => Ok(network),
        None => Err(field.invalid("a network such as 10.0.0.0/8 or 2001:db8::/32")),
    }
}
