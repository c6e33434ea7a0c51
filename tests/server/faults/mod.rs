//! What goes wrong between the real `dits` and the real `dits-server`: sudden death, full disks, dark networks, power cuts,
//! damage, and others who are there at the same time.

mod killed;
mod studio;
