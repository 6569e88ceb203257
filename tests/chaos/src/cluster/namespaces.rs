//! A network of its own for each node, and a router between them that can be told to drop what goes one way.
//!
//! ```text
//! node i (10.211.i.2) ── 10.211.i.1 router 10.211.j.1 ── (10.211.j.2) node j
//! ```
//!
//! A blackhole rule in the router drops without a word, in one direction between two nodes; the nodes see what
//! they would see on a broken network: nothing. Needs root and the `ip` tool.

use crate::command::run;
use crate::place::NAMESPACES;

/// The namespaces of one cluster. Taken away with this value.
#[derive(Debug)]
pub struct Namespaces {
    tag: String,
    nodes: usize,
    cut: Vec<(usize, usize)>,
}

impl Namespaces {
    /// Makes a network for so many nodes.
    ///
    /// # Errors
    /// When this machine or this user cannot; the text says why.
    pub fn make(nodes: usize) -> Result<Self, String> {
        let namespaces = Self { tag: format!("synod{}", std::process::id()), nodes, cut: Vec::new() };
        let router = namespaces.router();
        ip(&["netns", "add", &router])?;
        run(
            "nsenter",
            &[&format!("--net={NAMESPACES}/{router}"), "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"],
        )?;
        for node in 0..nodes {
            let (name, port, subnet) = (namespaces.name(node), format!("node{node}"), node + 1);
            ip(&["netns", "add", &name])?;
            ip(&[
                "-n", &router, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &name,
            ])?;
            ip(&["-n", &router, "addr", "add", &format!("10.211.{subnet}.1/24"), "dev", &port])?;
            ip(&["-n", &router, "link", "set", &port, "up"])?;
            ip(&["-n", &name, "addr", "add", &format!("10.211.{subnet}.2/24"), "dev", "eth0"])?;
            ip(&["-n", &name, "link", "set", "eth0", "up"])?;
            ip(&["-n", &name, "link", "set", "lo", "up"])?;
            ip(&["-n", &name, "route", "add", "default", "via", &format!("10.211.{subnet}.1")])?;
        }
        Ok(namespaces)
    }

    /// Returns the name of a node's namespace.
    pub fn name(&self, node: usize) -> String {
        format!("{}-{node}", self.tag)
    }

    /// Returns a node's address for the others.
    pub fn address(&self, node: usize) -> String {
        format!("10.211.{}.2", node + 1)
    }

    /// Drops what `from` sends to `to`.
    ///
    /// # Errors
    /// When the router takes no rule.
    pub fn cut(&mut self, from: usize, to: usize) -> Result<(), String> {
        self.rule("add", from, to)?;
        self.cut.push((from, to));
        Ok(())
    }

    /// Lets everything through again.
    ///
    /// # Errors
    /// When a rule stays.
    pub fn heal(&mut self) -> Result<(), String> {
        while let Some((from, to)) = self.cut.pop() {
            self.rule("del", from, to)?;
        }
        Ok(())
    }

    fn rule(&self, verb: &str, from: usize, to: usize) -> Result<(), String> {
        let (from, to) = (self.address(from), self.address(to));
        ip(&["-n", &self.router(), "rule", verb, "from", &from, "to", &to, "blackhole"])
    }

    fn router(&self) -> String {
        format!("{}-router", self.tag)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for node in 0..self.nodes {
            let _ = ip(&["netns", "del", &self.name(node)]);
        }
        let _ = ip(&["netns", "del", &self.router()]);
    }
}

fn ip(args: &[&str]) -> Result<(), String> {
    run("ip", args)
}
