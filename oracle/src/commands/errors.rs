//! Commands that fail, with errors of every shape.

use anyhow::Context;

use super::types::*;

both! {
    commands: [
        fail_text, fail_static, fail_unit, fail_number, fail_f32, fail_none, fail_user, fail_level,
        fail_external, fail_kind, fail_kind_busy, fail_thiserror, fail_anyhow, fail_value,
        fail_bytes, fail_unwritable, fail_int_map, fail_u64_max, fail_nan, succeed, succeed_unit,
        succeed_unwritable, succeed_raw, fail_before_raw, fail_alias,
    ];

    type Aliased<T> = std::result::Result<T, AppError>;

    #[command]
    fn fail_text() -> Result<u8, String> { Err("no such file: größe".to_owned()) }
    #[command]
    fn fail_static() -> Result<u8, &'static str> { Err("no") }
    #[command]
    fn fail_unit() -> Result<u8, ()> { Err(()) }
    #[command]
    fn fail_number() -> Result<u8, i32> { Err(-7) }
    #[command]
    fn fail_f32() -> Result<u8, f32> { Err(0.1) }
    #[command]
    fn fail_none() -> Result<u8, Option<String>> { Err(None) }
    #[command]
    fn fail_user() -> Result<u8, User> { Err(User { name: "Ada".to_owned(), age: 36 }) }
    #[command]
    fn fail_level() -> Result<u8, Level> { Err(Level::VeryLow) }
    #[command]
    fn fail_external() -> Result<u8, External> { Err(External::Named { user_id: 1 }) }
    #[command]
    fn fail_kind() -> Result<u8, KindError> { Err(KindError::NotFound("a.txt".to_owned())) }
    #[command]
    fn fail_kind_busy() -> Result<u8, KindError> { Err(KindError::Busy) }
    #[command]
    fn fail_thiserror() -> Result<u8, AppError> {
        Err(AppError::NoFile { path: "/tmp/a".to_owned() })
    }
    #[command]
    fn fail_anyhow() -> Result<u8, Anyhow> {
        let failed: anyhow::Result<u8> =
            "x".parse().context("reading the port").context("starting");
        failed.map_err(from_anyhow)
    }
    #[command]
    fn fail_value() -> Result<u8, serde_json::Value> {
        Err(serde_json::json!({ "code": 404, "deep": [{ "a": null }] }))
    }
    #[command]
    fn fail_bytes() -> Result<u8, serde_bytes::ByteBuf> {
        Err(serde_bytes::ByteBuf::from(vec![0, 127, 255]))
    }
    #[command]
    fn fail_unwritable() -> Result<u8, Unwritable> { Err(Unwritable) }
    #[command]
    fn fail_int_map() -> Result<u8, std::collections::BTreeMap<u32, u8>> { Err([(1, 2)].into()) }
    #[command]
    fn fail_u64_max() -> Result<u8, u64> { Err(u64::MAX) }
    #[command]
    fn fail_nan() -> Result<u8, f64> { Err(f64::NAN) }
    #[command]
    fn succeed() -> Result<u8, String> { Ok(1) }
    #[command]
    fn succeed_unit() -> Result<(), String> { Ok(()) }
    #[command]
    fn succeed_unwritable() -> Result<Unwritable, String> { Ok(Unwritable) }
    #[command]
    fn succeed_raw() -> Result<RawAnswer, String> { Ok(raw_answer(vec![1, 2])) }
    #[command]
    fn fail_before_raw() -> Result<RawAnswer, String> { Err("no bytes".to_owned()) }
    #[command]
    fn fail_alias() -> Aliased<u8> { Err(AppError::NoFile { path: "b".to_owned() }) }
}
