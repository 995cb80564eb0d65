//! Makes a parsed template safe and strict: names that nobody defines are faults before it runs, as
//! in Go; templates cannot multiply by calling one another; fields of labels that are absent
//! are empty texts; and what is put out is written as Go writes it.

use std::collections::BTreeMap;

use gotmpl::parse::{
    ActionNode, BranchNode, CommandNode, DefineNode, Expr, ListNode, Node, PipeNode, Pos, SmolStr,
    TemplateNode,
};

use super::functions::{BUILT_IN, FIELD, NAMES, SAY};

/// Nodes of a template with those that it calls in their places.
const MOST_NODES: u64 = 5_000;

/// Where, in bytes, and what.
type Lost = (usize, String);

/// Weaves a template and those that it defines.
pub(super) fn weave(
    source: &str,
    body: &mut ListNode,
    defines: &mut [DefineNode],
) -> Result<(), Lost> {
    let mut weaver = Weaver { source, variables: Vec::new() };
    weaver.list(body)?;
    for define in defines.iter_mut() {
        weaver.variables.clear();
        weaver.list(&mut define.body)?;
    }
    let mut census = Census {
        bodies: defines.iter().map(|define| (&*define.name, &define.body)).collect(),
        known: BTreeMap::new(),
    };
    let nodes = census.list(body)?;
    if nodes > MOST_NODES {
        let what = format!("more than {MOST_NODES} parts, called templates among them");
        return Err((body.pos.offset, what));
    }
    Ok(())
}

struct Weaver<'a> {
    source: &'a str,
    /// What is declared here.
    variables: Vec<SmolStr>,
}

impl Weaver<'_> {
    fn list(&mut self, list: &mut ListNode) -> Result<(), Lost> {
        for node in &mut list.nodes {
            match node {
                Node::Action(ActionNode { pipe, .. }) => {
                    self.pipe(pipe)?;
                    if pipe.decl.is_empty() {
                        pipe.commands.push(call(pipe.pos, SAY, Vec::new()));
                    }
                }
                Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
                    self.branch(branch)?;
                }
                Node::Template(TemplateNode { pipe: Some(pipe), .. }) => self.pipe(pipe)?,
                Node::List(list) => self.list(list)?,
                Node::Define(define) => {
                    let what = "a template is defined within another".to_owned();
                    return Err((define.pos.offset, what));
                }
                Node::Template(_) | Node::Text(_) | Node::Break(_) | Node::Continue(_) => {}
            }
        }
        Ok(())
    }

    fn branch(&mut self, branch: &mut BranchNode) -> Result<(), Lost> {
        let before = self.variables.len();
        self.pipe(&mut branch.pipe)?;
        self.list(&mut branch.body)?;
        if let Some(other) = &mut branch.else_body {
            self.list(other)?;
        }
        self.variables.truncate(before);
        Ok(())
    }

    fn pipe(&mut self, pipe: &mut PipeNode) -> Result<(), Lost> {
        for name in &pipe.decl {
            if pipe.is_assign {
                self.variable(pipe.pos, name)?;
            } else {
                self.variables.push(name.clone());
            }
        }
        for command in &mut pipe.commands {
            for arg in &mut command.args {
                self.expr(arg)?;
            }
        }
        Ok(())
    }

    fn expr(&mut self, expr: &mut Expr) -> Result<(), Lost> {
        match expr {
            Expr::Field(pos, names) => *expr = field(Expr::Dot(*pos), names),
            Expr::Variable(pos, name, names) => {
                self.variable(*pos, name)?;
                if !names.is_empty() {
                    *expr = field(Expr::Variable(*pos, name.clone(), Vec::new()), names);
                }
            }
            Expr::Chain(_, inner, names) => {
                self.expr(inner)?;
                *expr = field((**inner).clone(), names);
            }
            Expr::Identifier(pos, name) => {
                if !NAMES.contains(&name.as_str()) && !BUILT_IN.contains(&name.as_str()) {
                    return Err((self.at(*pos, name), format!("function {name:?} not defined")));
                }
            }
            Expr::Pipe(_, pipe) => self.pipe(pipe)?,
            Expr::Dot(_) | Expr::String(..) | Expr::Number(..) | Expr::Bool(..) | Expr::Nil(_) => {}
        }
        Ok(())
    }

    fn variable(&self, pos: Pos, name: &SmolStr) -> Result<(), Lost> {
        if name == "$" || self.variables.contains(name) {
            return Ok(());
        }
        Err((self.at(pos, name), format!("undefined variable {name:?}")))
    }

    /// Where a word stands: at its position or soon after.
    fn at(&self, pos: Pos, word: &str) -> usize {
        let rest = self.source.get(pos.offset..).unwrap_or_default();
        pos.offset.saturating_add(rest.find(word).unwrap_or(0))
    }
}

fn call(pos: Pos, name: &str, args: Vec<Expr>) -> CommandNode {
    let head = Expr::Identifier(pos, name.into());
    CommandNode { pos, args: std::iter::once(head).chain(args).collect() }
}

fn piped(command: CommandNode) -> Expr {
    let pos = command.pos;
    Expr::Pipe(pos, PipeNode { pos, decl: Vec::new(), commands: vec![command], is_assign: false })
}

/// Fields of a value, by the function that knows what is absent and what is unknown.
fn field(of: Expr, names: &[SmolStr]) -> Expr {
    let pos = of.pos();
    let names = names.iter().map(|name| Expr::String(pos, name.as_str().into()));
    piped(call(pos, FIELD, std::iter::once(of).chain(names).collect()))
}

/// Counts nodes, those of called templates at each call.
struct Census<'a> {
    bodies: BTreeMap<&'a str, &'a ListNode>,
    /// What each one has; `None` while it is counted.
    known: BTreeMap<&'a str, Option<u64>>,
}

impl<'a> Census<'a> {
    fn list(&mut self, list: &'a ListNode) -> Result<u64, Lost> {
        let mut count = 1_u64;
        for node in &list.nodes {
            count = count.saturating_add(match node {
                Node::List(list) => self.list(list)?,
                Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
                    let other = match &branch.else_body {
                        Some(other) => self.list(other)?,
                        None => 0,
                    };
                    self.list(&branch.body)?.saturating_add(other)
                }
                Node::Template(template) => self.call(template)?,
                _ => 1,
            });
        }
        Ok(count)
    }

    fn call(&mut self, template: &'a TemplateNode) -> Result<u64, Lost> {
        let name = template.name.as_str();
        match self.known.get(name) {
            Some(Some(count)) => return Ok(*count),
            Some(None) => {
                let what = format!("the template {name:?} calls itself: that is not run here");
                return Err((template.pos.offset, what));
            }
            None => {}
        }
        let Some(body) = self.bodies.get(name).copied() else { return Ok(1) };
        self.known.insert(name, None);
        let count = self.list(body)?;
        self.known.insert(name, Some(count));
        Ok(count)
    }
}
