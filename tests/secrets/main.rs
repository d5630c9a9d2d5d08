//! What a real process leaves for others to read: neither its log nor its output has a secret in it, at the most talkative level and
//! when things go wrong; and every file it makes is for its owner only, whatever the umask says.

mod busy;
// the programs in `benches` use the rest of these
#[allow(dead_code)]
#[path = "../../benches/fire/cluster.rs"]
mod cluster;
mod database;
mod files;
mod forms;
#[allow(dead_code)]
#[path = "../../benches/fire/http.rs"]
mod http;
mod log;
mod server;
