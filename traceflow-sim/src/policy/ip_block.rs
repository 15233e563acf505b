//! Ranges of addresses with holes.

use std::net::IpAddr;

use ipnet::IpNet;

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
        let is_smaller_part = |part: &IpNet| cidr.contains(part) && part.prefix_len() > cidr.prefix_len();
        match except.iter().find(|part| !is_smaller_part(part)) {
            Some(&outside) => Err(NotInside { cidr, except: outside }),
            None => Ok(Self { cidr, except }),
        }
    }

    /// The whole block, its exceptions included.
    pub fn cidr(&self) -> IpNet {
        self.cidr
    }

    /// The exceptions.
    pub fn except(&self) -> &[IpNet] {
        &self.except
    }

    /// Whether the block holds `address`; never if it is of the other family.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.cidr.contains(&address) && !self.except.iter().any(|part| part.contains(&address))
    }
}
