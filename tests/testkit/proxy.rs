//! The network between a client and a broker, which a test can cut, freeze and slow down.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// How the network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    Fair,
    /// Connections are broken and new ones refused.
    Cut,
    /// Connections stand, and nothing passes.
    Frozen,
    /// Every piece that passes takes so long.
    Slow(Duration),
}

/// A port that leads to a broker's.
pub(crate) struct Proxy {
    port: u16,
    state: Arc<State>,
}

struct State {
    weather: Mutex<Weather>,
    changed: Condvar,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Opens a port that leads to `port`; it ends with the process.
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let own = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            weather: Mutex::new(Weather::Fair),
            changed: Condvar::new(),
            open: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                shared.lead(&stream, port);
            }
        });
        Self { port: own, state }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Changes the weather at once, for what is under way too.
    pub(crate) fn set(&self, weather: Weather) {
        *self.state.weather.lock().unwrap() = weather;
        self.state.changed.notify_all();
        if weather == Weather::Cut {
            for stream in self.state.open.lock().unwrap().drain(..) {
                // One that has ended by itself is as good.
                drop(stream.shutdown(Shutdown::Both));
            }
        }
    }
}

impl State {
    fn lead(self: &Arc<Self>, client: &TcpStream, port: u16) {
        if *self.weather.lock().unwrap() == Weather::Cut {
            return;
        }
        let Ok(broker) = TcpStream::connect(("127.0.0.1", port)) else {
            return;
        };
        let mut open = self.open.lock().unwrap();
        for (from, to) in [(client, &broker), (&broker, client)] {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            open.push(from.try_clone().unwrap());
            let state = Arc::clone(self);
            std::thread::spawn(move || state.pass(from, to));
        }
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(size @ 1..) = from.read(&mut buffer) {
            if let Weather::Slow(delay) = self.wait_for_passage() {
                std::thread::sleep(delay);
            }
            if to.write_all(&buffer[..size]).is_err() {
                break;
            }
        }
        drop(to.shutdown(Shutdown::Both));
        drop(from.shutdown(Shutdown::Both));
    }

    fn wait_for_passage(&self) -> Weather {
        let weather = self.weather.lock().unwrap();
        *self
            .changed
            .wait_while(weather, |weather| *weather == Weather::Frozen)
            .unwrap()
    }
}
