use tramline::command;

struct Store;

impl Store {
    #[command]
    fn read(&self, key: String) -> String {
        key
    }
}

fn main() {}
