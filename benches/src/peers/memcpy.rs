//! A copy of as many bytes: nothing that fills a buffer is cheaper.

use std::hint::black_box;

use crate::sample::{SCTP_LENGTH, TCP_LENGTH, UDP6_LENGTH};
use crate::{Operation, Rounds};

pub(crate) static TCP: Operation = Operation {
    name: "memcpy: 54 bytes",
    prepare: copy::<TCP_LENGTH>,
};

pub(crate) static UDP6: Operation = Operation {
    name: "memcpy: 70 bytes",
    prepare: copy::<UDP6_LENGTH>,
};

pub(crate) static SCTP: Operation = Operation {
    name: "memcpy: 66 bytes",
    prepare: copy::<SCTP_LENGTH>,
};

/// What `memcpy` itself takes: it is told how many bytes there are.
pub(crate) static TCP_CALLED: Operation = Operation {
    name: "memcpy: 54 bytes, as a call",
    prepare: || {
        let from = [0x5a_u8; 128];
        let mut to = [0_u8; 128];
        Box::new(move |times| {
            for _ in 0..times {
                let length = black_box(TCP_LENGTH);
                to[..length].copy_from_slice(&black_box(&from)[..length]);
                black_box(&mut to);
            }
        })
    },
};

fn copy<const N: usize>() -> Rounds {
    let from = [0x5a_u8; N];
    let mut to = [0_u8; N];
    Box::new(move |times| {
        for _ in 0..times {
            to.copy_from_slice(black_box(&from).as_slice());
            black_box(&mut to);
        }
    })
}
