//! The report through its public face, on result sets built in code.

mod analysis;
mod answers;
mod effects;
mod finals;
mod html;
mod inquiry;
mod lessons;
mod other_systems;
mod pictures;
mod price;
mod synthetic;
mod week2;
mod week3;
