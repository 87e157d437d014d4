//! One app and one page, run stock and accelerated: the tests and the figures come from it.
//!
//! | variable | says |
//! |---|---|
//! | `TRAMLINE_E2E_MODE` | `stock` or `accelerated`, the default, or `parked`: without polling, or `portable`, or `strict`: the same, with a policy that forbids it |
//! | `TRAMLINE_E2E_TASK` | `test`, the default, `lives`, `lost`, `forward`, `hostile`, `refusals`, `bench`, `soak`, `api`, or `hot`, for a profiler |
//! | `TRAMLINE_E2E_NPM` | the folder of the packages that the task `api` imports |
//! | `TRAMLINE_E2E_SECONDS` | how long `soak` lasts |
//! | `TRAMLINE_E2E_QUICK` | if set, a tenth of the loads |
//! | `TRAMLINE_E2E_PART` | the part of the bench's loads that is wanted, as `0/4` |
//! | `TRAMLINE_E2E_ROWS` | the rows of the bench that are wanted, by name, with `;` between them |
//! | `TRAMLINE_E2E_OUT` | the file for the report |
//! | `TRAMLINE_E2E_BEGUN` | the file that is made when the window system has let the app in |
//!
//! With the argument `worker` it is the sidecar of `forward` and `bench`.

mod bench;
mod commands;
mod forward;
mod hostile;
mod lives;
mod lost;
mod npm;
mod refusals;
mod soak;
mod views;

use std::io::Write as _;

use tauri::utils::config::Csp;
use tauri::{Builder, Wry};
use tauri_plugin_tramline::{Hop, Options, accelerate_with};

/// A policy that does not name the plugin's scheme.
const STRICT: &str = "default-src 'self'; script-src 'self'; connect-src 'self' ipc: \
    http://ipc.localhost; frame-src 'self' http://127.0.0.1:*";

fn main() {
    // Only the first logger counts, and there is no other.
    let _ = log::set_logger(&ToStandardError);
    log::set_max_level(log::LevelFilter::Info);
    if std::env::args().nth(1).as_deref() == Some(forward::WORKER) {
        // It ends with the app.
        if let Err(error) = tramline_tauri_worker::run() {
            log::error!("the worker did not run: {error}");
        }
        return;
    }
    let builder = Builder::default().manage(commands::Counts::default()).setup(|app| {
        commands::listen(app.handle());
        setting("BEGUN").map_or(Ok(()), |path| std::fs::write(path, ""))?;
        if setting("TASK").as_deref() == Some("refusals") {
            refusals::open(app.handle())?;
        }
        Ok(())
    });
    let builder = builder.plugin(refusals::guarded());
    let builder = match setting("MODE").as_deref() {
        Some("stock") => builder,
        mode => {
            let mut options = Options::default();
            options.core_polls = mode != Some("parked");
            if matches!(mode, Some("portable" | "strict")) {
                options.hop = Hop::Portable;
            }
            accelerate_with(builder, options)
        }
    };
    let mut context = tauri::generate_context!();
    npm::add(&mut context);
    // A page whose ring is lost would go on by the portable hop; what an attack does to its link could
    // not be seen then.
    let hostile = setting("TASK").as_deref() == Some("hostile");
    if hostile || setting("MODE").as_deref() == Some("strict") {
        context.config_mut().app.security.csp = Some(Csp::Policy(STRICT.to_owned()));
    }
    let run = with_commands(builder).run(context);
    if let Err(error) = run {
        log::error!("the app did not run: {error}");
        std::process::exit(1);
    }
}

fn with_commands(builder: Builder<Wry>) -> Builder<Wry> {
    forward::Behind(builder).invoke_handler(tauri::generate_handler![
        commands::task,
        commands::report,
        commands::own_pid,
        commands::on_ring,
        commands::nothing,
        commands::echo,
        commands::echo_later,
        commands::fail,
        commands::fail_later,
        commands::headers,
        commands::raw_get,
        commands::raw_put,
        commands::raw_echo,
        commands::stream,
        commands::stream_raw,
        commands::emit_some,
        commands::emit_to_target,
        commands::emit_by_two,
        commands::frame_url,
        commands::heard,
        commands::count_up,
        commands::count_of,
        commands::counted_twice,
        commands::in_order,
        commands::order,
        commands::no_json,
        lives::step,
        lives::note,
        lives::report_notes,
        lives::kill_web_process,
        lives::hold,
        lives::open_gate,
        lives::panics,
        lives::foreign_url,
        lives::open_second,
        lives::close_second,
        forward::kill_worker,
        hostile::hostile_at,
        hostile::hostile_logged,
        hostile::hostile_next,
        hostile::hostile_done,
        hostile::hostile_flood,
        hostile::hostile_foreign,
        hostile::hostile_threads,
        hostile::hostile_memory,
        hostile::hostile_forbidden,
        hostile::hostile_forbidden_ran,
        refusals::refusals_told,
        lost::panic_now,
        lost::keep_channel,
        lost::send_on_kept,
        soak::soak_begin,
        soak::soak_call,
        soak::soak_later,
        soak::soak_fault,
        bench::bench_quick,
        bench::bench_part,
        bench::bench_rows,
        bench::bench_start,
        bench::bench_times,
        bench::bench_times_in_turn,
        bench::bench_rate,
        bench::bench_done,
        bench::bench_timer_start,
        bench::bench_timer_stop,
        bench::bench_nothing,
        bench::bench_later,
        bench::bench_echo,
        bench::bench_put,
        bench::bench_get,
        bench::emit_load,
        bench::stream_load,
        bench::stream_raw_load,
    ])
}

/// A setting of this run.
fn setting(name: &str) -> Option<String> {
    std::env::var(format!("TRAMLINE_E2E_{name}")).ok()
}

struct ToStandardError;

impl log::Log for ToStandardError {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        hostile::note_fault(&record.args().to_string());
        // Nowhere to complain to.
        let _ = writeln!(std::io::stderr(), "{}: {}", record.level(), record.args());
    }

    fn flush(&self) {}
}
