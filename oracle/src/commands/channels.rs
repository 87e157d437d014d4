//! Commands that stream to their caller.

use super::types::*;

both! {
    commands: [
        count, count_async, stream_values, stream_users, stream_floats, stream_units, stream_bytes,
        stream_long_texts, stream_to_two, stream_by_clones, stream_then_fail, stream_unwritable,
    ];

    #[command]
    fn count(up_to: u32, on_number: Channel<u32>) -> Result<u32, String> {
        (0..up_to).try_for_each(|number| send(&on_number, number))?;
        Ok(up_to)
    }
    #[command]
    async fn count_async(up_to: u32, on_number: Channel<u32>) -> Result<u32, String> {
        (0..up_to).try_for_each(|number| send(&on_number, number))?;
        Ok(up_to)
    }
    #[command]
    fn stream_values(on_value: Channel<serde_json::Value>) -> Result<(), String> {
        let values = serde_json::json!([null, true, -1, u64::MAX, 1.5, "größe \"🦀\"", { "a": [{}] }]);
        values.as_array().into_iter().flatten().try_for_each(|value| send(&on_value, value.clone()))
    }
    #[command]
    fn stream_users(on_user: Channel<User>) -> Result<(), String> {
        (36..38).try_for_each(|age| send(&on_user, User { name: "Ada".to_owned(), age }))
    }
    #[command]
    fn stream_floats(on_float: Channel<f32>) -> Result<(), String> {
        [0.1, -0.0, 1.0].into_iter().try_for_each(|float| send(&on_float, float))
    }
    #[command]
    fn stream_units(on_tick: Channel<()>) -> Result<(), String> {
        send(&on_tick, ()).and_then(|()| send(&on_tick, ()))
    }
    #[command]
    fn stream_bytes(on_bytes: Channel<RawAnswer>) -> Result<(), String> {
        // Tauri sends more than 1024 bytes in another way.
        [vec![], vec![0, 255], vec![7; 2000], vec![1]]
            .into_iter()
            .try_for_each(|bytes| send_bytes(&on_bytes, bytes))
    }
    #[command]
    fn stream_long_texts(on_text: Channel<String>) -> Result<(), String> {
        // And more than 8192 bytes of JSON.
        ["short".to_owned(), "0123456789".repeat(1000), "short".to_owned()]
            .into_iter()
            .try_for_each(|text| send(&on_text, text))
    }
    #[command]
    fn stream_to_two(first: Channel<u8>, second: Channel<String>) -> Result<u8, String> {
        send(&first, 1)?;
        send(&second, "a".to_owned())?;
        send(&first, 2)?;
        Ok(3)
    }
    #[command]
    fn stream_by_clones(on_number: Channel<u8>) -> Result<(), String> {
        let clone = on_number.clone();
        send(&on_number, 1)?;
        drop(on_number);
        let sent = std::thread::spawn(move || send(&clone, 2).and_then(|()| send(&clone, 3)));
        sent.join().map_err(|_| "a panic".to_owned())?
    }
    #[command]
    fn stream_then_fail(on_number: Channel<u8>) -> Result<u8, String> {
        send(&on_number, 1)?;
        Err("no more".to_owned())
    }
    #[command]
    fn stream_unwritable(on_value: Channel<Unwritable>) -> Result<(), String> {
        send(&on_value, Unwritable)
    }
}
