//! Channels of a client's.

use tramline_core::channel::{Channel, ChannelArg, ChannelReader};

use crate::client::Client;

impl Client {
    /// Makes a channel on which a command sends to this client: an argument for the call, and the
    /// end that reads. The command takes it as a parameter of type [`Channel<T>`].
    ///
    /// An argument goes with one call. What happens to the call does not end the channel by itself:
    /// it ends when the command drops its end, and a cancelled command may go on sending. If the
    /// call could not be sent, was refused, or its command takes no channel of this name, the
    /// reader ends with an error.
    ///
    /// Read on another thread or in another task than the one that waits for the call, or the
    /// command waits for room when [`Limits::channel_window`](crate::Limits::channel_window) is
    /// full.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::thread;
    ///
    /// use tramline::{Capabilities, Channel, Client, SendError, Server, command, commands, json};
    ///
    /// #[command]
    /// fn count(up_to: u32, progress: Channel<u32>) -> Result<u32, String> {
    ///     for number in 0..up_to {
    ///         progress.send(&number).map_err(|e| e.to_string())?;
    ///     }
    ///     Ok(up_to)
    /// }
    ///
    /// let server = Server::new().commands(commands![count]).allow(Capabilities::all());
    /// let server = server.start("mem:channel-doc")?;
    /// let client = Client::connect("mem:channel-doc").wait()?;
    ///
    /// let (progress, reader) = client.channel::<u32>();
    /// let counting = thread::spawn(move || reader.into_iter().collect::<Result<Vec<_>, _>>());
    /// let args = json!({ "upTo": 3, "progress": progress });
    /// let counted: u32 = client.invoke("count", args).wait()?;
    /// assert_eq!(counted, 3);
    /// assert_eq!(counting.join().expect("no panic")?, [0, 1, 2]);
    /// # server.stop();
    /// # Ok::<(), tramline::Error>(())
    /// ```
    pub fn channel<T>(&self) -> (ChannelArg, ChannelReader<T>) {
        self.see_to_reading();
        ChannelReader::open(self.server())
    }

    /// Makes a channel on which this client sends to a command: an argument for the call, and the
    /// end that sends. The command takes it as a parameter of type [`ChannelReader<T>`].
    ///
    /// Messages go when the command has begun: [`Channel::send`] waits for that. So send on another
    /// thread or in another task than the one that waits for the call. If no command takes the
    /// channel, sending is an error.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::thread;
    ///
    /// use tramline::{
    ///     Capabilities, ChannelReader, Client, RecvError, Server, command, commands, json,
    /// };
    ///
    /// #[command]
    /// fn sum(numbers: ChannelReader<u64>) -> Result<u64, String> {
    ///     let sum: Result<u64, RecvError> = numbers.into_iter().sum();
    ///     sum.map_err(|e| e.to_string())
    /// }
    ///
    /// let server = Server::new().commands(commands![sum]).allow(Capabilities::all());
    /// let server = server.start("mem:channel-to-doc")?;
    /// let client = Client::connect("mem:channel-to-doc").wait()?;
    ///
    /// let (numbers, sender) = client.channel_to::<u64>();
    /// let sending = thread::spawn(move || (1..=10).try_for_each(|number| sender.send(&number)));
    /// let sum: u64 = client.invoke("sum", json!({ "numbers": numbers })).wait()?;
    /// assert_eq!(sum, 55);
    /// sending.join().expect("no panic")?;
    /// # server.stop();
    /// # Ok::<(), tramline::Error>(())
    /// ```
    pub fn channel_to<T: ?Sized>(&self) -> (ChannelArg, Channel<T>) {
        self.see_to_reading();
        Channel::open(self.server())
    }

    /// Whoever waits for a channel does not read the link.
    fn see_to_reading(&self) {
        // If it cannot be, the link is over, and so is every channel of it.
        let _ = self.ensure_runner();
    }
}
