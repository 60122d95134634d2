//! What the fuzz targets check. Each check takes any octets, makes an input of them, and panics
//! where the program does not keep its word.

pub mod capture;
pub mod datagram;
pub mod decap;
pub mod frame;
pub mod message;
pub mod payload;
pub mod table;

mod input;
