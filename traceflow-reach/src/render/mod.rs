//! A matrix as people and programs read it.
//!
//! | for | call |
//! |---|---|
//! | a person at a terminal | [`table()`] |
//! | a spreadsheet | [`csv()`] |
//! | programs | [`json()`] |

mod csv;
mod json;
pub(crate) mod page;
mod table;

pub use self::csv::csv;
pub use self::json::json;
pub(crate) use self::json::{OneCell, mode};
pub use self::table::table;
