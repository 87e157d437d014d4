use tramline::__private::Command;
use tramline::command;

#[command]
fn all_sorts(user_id: u8, a_b_c: u8, id2_x: u8, _hidden: u8, r#type: u8, mut plain: u8) {
    plain += user_id + a_b_c + id2_x + _hidden + r#type;
    let _ = plain;
}

#[command(rename = "dialog.open")]
fn open(file_name: &str) {
    let _ = file_name;
}

#[command(rename_all = "snake_case",)]
fn keep_names(user_id: u8, _hidden: u8) {
    let _ = (user_id, _hidden);
}

#[command(rename = "both", inline, rename_all = "camelCase")]
fn everything(user_id: u8) {
    let _ = user_id;
}

#[command]
fn r#match(call: u8, view: u8, value: u8) -> u8 {
    call + view + value
}

// Names that the expansion uses too.
#[command]
fn call(call: u8, arg0: u8) -> Result<u8, u8> {
    Ok(call + arg0)
}

fn main() {
    assert_eq!(all_sorts::NAME, "all_sorts");
    assert_eq!(all_sorts::ARGS, ["userId", "aBC", "id2X", "hidden", "type", "plain"]);
    assert_eq!((open::NAME, open::ARGS), ("dialog.open", &["fileName"][..]));
    assert_eq!((keep_names::NAME, keep_names::ARGS), ("keep_names", &["user_id", "hidden"][..]));
    assert_eq!((everything::NAME, everything::ARGS), ("both", &["userId"][..]));
    assert_eq!(r#match::NAME, "match");
    assert_eq!(call::NAME, "call");
}
