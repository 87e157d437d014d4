//! What every transport and codec has to do, written once.

mod answers;
mod async_calls;
mod blobs;
mod calls;
mod cancel;
mod channel_ends;
mod channels;
mod ends;
mod events;
mod extras;
mod flow;
mod listeners;
mod look_out;
mod matrix;
mod overflow;
mod payloads;
mod refusals;
mod targets;
