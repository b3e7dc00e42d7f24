//! What tests stand on: a throw-away Postgres, servers, a client that checks every answer against the contract, worlds.

pub mod client;
pub mod eventually;
pub mod faulty;
pub mod fixtures;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod redis;
pub mod server;

pub use client::Answer;
pub use client::Client;
pub use eventually::eventually;
pub use eventually::soon;
pub use fixtures::World;
pub use process::keyward;
pub use redis::Redis;
pub use server::Server;
