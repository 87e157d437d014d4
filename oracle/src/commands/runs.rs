//! Async commands, commands that panic, and renamed ones.

use super::types::*;

/// What the commands here panic with; the panic hook keeps quiet about it.
pub const PANIC: &str = "the command panics, as it should";

both! {
    commands: [
        async_add, async_greet, async_fail, async_managed, async_unwritable, async_raw,
        panics, panics_later, panics_async, first_name, renamed, renamed_with_dots,
    ];

    #[command]
    async fn async_add(first_number: i64, b: i64) -> i64 { first_number + b }
    #[command]
    async fn async_greet(name: &str) -> Result<String, String> {
        std::future::ready(()).await;
        Ok(format!("Hello, {name}!"))
    }
    #[command]
    async fn async_fail() -> Result<u8, KindError> { Err(KindError::NotFound("x".to_owned())) }
    #[command]
    async fn async_managed(state: State<'_, Managed>) -> Result<u32, ()> { Ok(state.0) }
    #[command]
    async fn async_unwritable() -> Unwritable { Unwritable }
    #[command]
    async fn async_raw() -> RawAnswer { raw_answer(vec![1, 2]) }

    #[command]
    fn panics() -> u8 { panic!("{PANIC}") }
    #[command]
    fn panics_later(value: u8) -> Result<u8, String> { assert!(value == 0, "{PANIC}"); Ok(value) }
    #[command]
    async fn panics_async() -> u8 { panic!("{PANIC}") }

    #[command(rename = "second_name")]
    fn first_name(value: u8) -> u8 { value }
    #[command(rename = "third name")]
    fn renamed(value: u8) -> u8 { value }
    #[command(rename = "files.scan", rename_all = "snake_case")]
    fn renamed_with_dots(max_depth: u8, my_state: State<'_, Unmanaged>) -> u8 {
        let _ = my_state;
        max_depth
    }
}
