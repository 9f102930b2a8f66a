//! The one door through which every request of this program leaves.
//!
//! Owns the choice between the network and, in tests, a simulation in which a request
//! is handed to its server within the process. Must not repeat, judge or log anything.

use reqwest::{Request, Response};

use super::network;
#[cfg(test)]
use super::simulated;

/// The way to servers; clones share its connections.
#[derive(Debug, Clone)]
pub enum Wire {
    /// Sockets.
    Network(reqwest::Client),
    /// A function of this process, under simulated time.
    #[cfg(test)]
    Simulated(simulated::Simulated),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// In the HTTP library's words.
    #[error(transparent)]
    Network(#[from] reqwest::Error),
    /// As the simulation wants it.
    #[cfg(test)]
    #[error(transparent)]
    Simulated(#[from] simulated::NoAnswer),
}

impl Wire {
    /// Sends a request once, and gives back the answer's head with its body to be read.
    ///
    /// # Errors
    ///
    /// [`WireError`] when no answer came.
    pub async fn execute(&self, request: Request) -> Result<Response, WireError> {
        match self {
            Self::Network(client) => Ok(client.execute(request).await?),
            #[cfg(test)]
            Self::Simulated(simulated) => Ok(simulated.execute(request).await?),
        }
    }

    /// A number from 0 to 1, for spreading pauses: drawn by chance, in a simulation by its seed.
    pub(super) fn chance(&self) -> f64 {
        match self {
            Self::Network(_) => f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / 255.0,
            #[cfg(test)]
            Self::Simulated(simulated) => simulated.chance(),
        }
    }
}

impl WireError {
    /// Whether no connection was made, so that nothing was carried: DNS, TCP and TLS failures alike.
    pub fn is_not_sent(&self) -> bool {
        match self {
            Self::Network(error) => error.is_connect(),
            #[cfg(test)]
            Self::Simulated(error) => {
                matches!(error, simulated::NoAnswer::Refused | simulated::NoAnswer::NoName)
            }
        }
    }

    /// Whether another sending would meet the same end.
    pub(super) fn is_hopeless(&self) -> bool {
        match self {
            Self::Network(error) => error.is_connect() && network::is_mistrusted(error),
            #[cfg(test)]
            Self::Simulated(_) => false,
        }
    }

    /// The error with its causes, without the URL, whose query may hold what no log should.
    pub fn into_words(self) -> String {
        match self {
            Self::Network(error) => super::chain(&error.without_url()),
            #[cfg(test)]
            Self::Simulated(error) => error.to_string(),
        }
    }
}
