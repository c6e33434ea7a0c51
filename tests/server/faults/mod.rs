//! What goes wrong between the real `dits` and the real `dits-server`: sudden death, full disks, dark networks, power cuts,
//! damage, and others who are there at the same time.

mod damaged;
mod dark;
mod full;
mod killed;
mod power;
mod studio;
mod together;
