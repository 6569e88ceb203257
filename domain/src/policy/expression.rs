//! Expressions in the Common Expression Language, for what conditions cannot say.
//!
//! An expression sees the names that conditions see, dots and all: `params.path.startsWith("/srv/")`. One that ends in
//! anything but `true` does not match; an error, such as a missing attribute, is no match either.
//!
//! It is judged while an entry of the log is applied, so it must come to the same end on every replica and soon. Hence
//! no maps, whose order differs from run to run, no regular expressions, no time, only the functions of
//! [`FUNCTIONS`], and bounds on length, on brackets and operators (which bound the depth) and on loops. The crate that reads and runs
//! them is pinned: a version that judged otherwise would make replicas differ.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::common::ast::{Expr, IdedExpr};

use crate::policy::question::{Question, Sight};
use crate::policy::value::Value;

/// The longest expression, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 1024;

/// How deep brackets may stand in each other. The reader takes 100 KiB of stack for each in a development build.
const BRACKETS_DEEP_MAX: usize = 4;

/// The most operators, `&&` and `||` aside, which do not nest. Each may make an expression deeper by one.
const OPERATORS_MAX: usize = 24;

/// The most dots outside of texts.
const DOTS_MAX: usize = 64;

/// How deep loops (`exists`, `all`, `map`, ...) may stand in each other.
const LOOPS_DEEP_MAX: usize = 2;

/// The functions that may be called, beside operators.
pub const FUNCTIONS: [&str; 9] =
    ["size", "contains", "startsWith", "endsWith", "int", "uint", "double", "string", "bool"];

/// What expressions may use; the same for all of them and never changed.
static ENVIRONMENT: LazyLock<Arc<cel::Env>> = LazyLock::new(|| Arc::new(cel::Env::stdlib()));

/// Says what is wrong with an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {why}")]
pub struct ExpressionError {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong.
    pub why: String,
}

/// An expression that was understood.
#[derive(Debug)]
pub struct Expression {
    program: cel::Program,
    /// The names that it may ask for, with everything that dots may mean.
    names: BTreeSet<String>,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// When it is not one, is too large, or uses what expressions here may not use; with the place.
    pub fn compile(text: &str) -> Result<Self, ExpressionError> {
        let at_start = |why: String| ExpressionError { line: 1, column: 1, why };
        if text.len() > EXPRESSION_BYTES_MAX {
            let why = format!("it has {} bytes; at most {EXPRESSION_BYTES_MAX} are allowed", text.len());
            return Err(at_start(why));
        }
        check_signs(text).map_err(at_start)?;
        let parsed = catch_unwind(|| ENVIRONMENT.compile(text))
            .map_err(|_| at_start("it cannot be read".to_owned()))?;
        let program = parsed.map_err(|errors| match errors.errors.into_iter().next() {
            Some(first) => ExpressionError {
                line: usize::try_from(first.pos.0).unwrap_or(1).max(1),
                column: usize::try_from(first.pos.1).unwrap_or(1).max(1),
                why: first.msg,
            },
            None => at_start("it cannot be read".to_owned()),
        })?;
        let mut names = BTreeSet::new();
        look_through(program.expression(), 0, &mut names).map_err(|wrong| place(&program, text, wrong))?;
        Ok(Self { program, names })
    }

    /// Walks the names that it may ask for.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Tells whether it is true of a question.
    pub fn holds(&self, question: &Question<'_>) -> bool {
        // What others wrote may not end every replica at the same entry of the log.
        let judged = catch_unwind(AssertUnwindSafe(|| {
            let mut context = cel::Context::with_env(Arc::clone(&ENVIRONMENT));
            for name in &self.names {
                if name == "action" {
                    context.add_variable_from_value(name.as_str(), question.action);
                } else if let Some(sight) = question.get(name) {
                    context.add_variable_from_value(name.as_str(), value_of(sight));
                }
            }
            matches!(self.program.execute(&context), Ok(cel::Value::Bool(true)))
        }));
        judged.unwrap_or(false)
    }
}

/// A part of an expression that may not be there, and why.
struct Wrong {
    part: u64,
    why: String,
}

/// Walks an expression: collects the names that it asks for and finds what it may not use.
fn look_through(expression: &IdedExpr, loops: usize, names: &mut BTreeSet<String>) -> Result<(), Wrong> {
    let wrong = |why: &str| Err(Wrong { part: expression.id, why: why.to_owned() });
    match &expression.expr {
        Expr::Literal(_) => Ok(()),
        Expr::Ident(name) => {
            names.insert(name.clone());
            Ok(())
        }
        Expr::Select(select) => {
            if let Some(path) = dotted(expression) {
                names.insert(path);
            }
            look_through(&select.operand, loops, names)
        }
        Expr::List(list) => list.elements.iter().try_for_each(|one| look_through(one, loops, names)),
        Expr::Call(call) => {
            let operator = call.func_name.contains('_') || call.func_name.starts_with('@');
            if !operator && !FUNCTIONS.contains(&call.func_name.as_str()) {
                return wrong(&format!(
                    "there is no function {:?}; use operators and {}",
                    call.func_name,
                    FUNCTIONS.join(", ")
                ));
            }
            let parts = call.target.iter().map(|target| &**target).chain(&call.args);
            parts.into_iter().try_for_each(|one| look_through(one, loops, names))
        }
        Expr::Comprehension(comprehension) => {
            if loops >= LOOPS_DEEP_MAX {
                return wrong(&format!("loops stand in each other at most {LOOPS_DEEP_MAX} deep"));
            }
            look_through(&comprehension.iter_range, loops, names)?;
            let inner = [
                &comprehension.accu_init,
                &comprehension.loop_cond,
                &comprehension.loop_step,
                &comprehension.result,
            ];
            inner.into_iter().try_for_each(|one| look_through(one, loops + 1, names))
        }
        Expr::Map(_) | Expr::Struct(_) => wrong("maps and messages cannot be made here"),
        Expr::Unspecified => wrong("it is not complete"),
    }
}

/// Returns the name that a chain of dots spells.
fn dotted(expression: &IdedExpr) -> Option<String> {
    match &expression.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => {
            Some(format!("{}.{}", dotted(&select.operand)?, select.field))
        }
        _ => None,
    }
}

fn place(program: &cel::Program, text: &str, wrong: Wrong) -> ExpressionError {
    let start = program.source_info().offset_for(wrong.part).map_or(0, |(start, _)| start);
    let before: String = text.chars().take(usize::try_from(start).unwrap_or(0)).collect();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    ExpressionError { line, column, why: wrong.why }
}

/// Refuses what would be deep, before it is read: reading is what takes the most stack.
fn check_signs(text: &str) -> Result<(), String> {
    let (mut deep, mut operators, mut dots) = (0_usize, 0, 0);
    let (mut quote, mut escaped, mut before) = (None, false, ' ');
    for character in text.chars() {
        match (quote, character) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '.') => dots += 1,
            (None, ')' | ']' | '}') => deep = deep.saturating_sub(1),
            (None, '(' | '[' | '{') => {
                deep += 1;
                operators += usize::from(character == '[');
            }
            // The second sign of one operator.
            (None, '=') if matches!(before, '=' | '!' | '<' | '>') => {}
            (None, '+' | '-' | '*' | '/' | '%' | '<' | '>' | '=' | '!' | '?') => operators += 1,
            (None, _) => {}
        }
        before = character;
        for (count, max, what) in [
            (deep, BRACKETS_DEEP_MAX, "brackets stand in each other"),
            (operators, OPERATORS_MAX, "operators"),
            (dots, DOTS_MAX, "dots"),
        ] {
            if count > max {
                return Err(format!("more than {max} {what}"));
            }
        }
    }
    Ok(())
}

fn value_of(sight: Sight<'_>) -> cel::Value {
    let text = |text: &str| cel::Value::String(Arc::new(text.to_owned()));
    match sight {
        Sight::Text(one) => text(one),
        Sight::Whole(number) => cel::Value::Int(number),
        Sight::Number(number) => cel::Value::Float(number),
        Sight::Flag(flag) => cel::Value::Bool(flag),
        Sight::List(list) => {
            let list = list.iter().map(|one: &Value| value_of(Sight::of(one)));
            cel::Value::List(Arc::new(list.collect()))
        }
        Sight::Capabilities(capabilities) => {
            cel::Value::List(Arc::new(capabilities.names().map(|name| text(name.as_str())).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::question::Context;
    use crate::policy::value::Attributes;

    fn ask(text: &str, attributes: &[(&str, Value)]) -> bool {
        let attributes: Attributes =
            attributes.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
        let context = Context { workspace: Some("research"), ..Context::default() };
        let question = Question { action: "tool.shell.execute", context, attributes: &attributes };
        Expression::compile(text).expect(text).holds(&question)
    }

    #[test]
    fn expressions_see_context_attributes_and_dotted_names() {
        let said = [("params.path", "/srv/data".into()), ("size", 12.into()), ("dry", true.into())];
        assert!(ask(r#"params.path.startsWith("/srv/") && size > 10 && workspace == "research""#, &said));
        assert!(ask(r#"action.startsWith("tool.") && dry"#, &said));
        assert!(!ask("size > 12", &said));
        assert!(ask(r#"workspace in ["research", "audit"]"#, &said));
    }

    #[test]
    fn a_missing_attribute_and_an_end_that_is_not_true_are_no_match() {
        assert!(!ask("cost > 5", &[]));
        assert!(!ask("!(cost > 5)", &[]));
        assert!(!ask("1 + 1", &[]));
        assert!(!ask("1 / 0 == 1", &[]));
        assert!(ask("cost > 5 || true", &[]));
    }

    #[test]
    fn lists_are_walked() {
        let said = [("hosts", Value::List(vec!["a.example".into(), "b.test".into()]))];
        assert!(ask(r#"hosts.exists(host, host.endsWith(".test"))"#, &said));
        assert!(!ask(r#"hosts.all(host, host.endsWith(".test"))"#, &said));
        assert!(ask("size(hosts) == 2", &said));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let error = |text: &str| Expression::compile(text).unwrap_err();
        let syntax = error("size >");
        assert_eq!((syntax.line, syntax.column > 1), (1, true), "{syntax}");
        let function = error("true &&\n  path.matches('x')");
        assert_eq!(function.line, 2, "{function}");
        assert!(function.why.contains("matches"), "{function}");
        assert!(error("{'a': 1}.a == 1").why.contains("maps"));
        assert!(error(&"a".repeat(1025)).why.contains("1024"));
        assert!(error(&format!("{}1", "(".repeat(200))).why.contains("brackets"));
        assert!(error(&format!("1{} > 0", "+1".repeat(25))).why.contains("operators"));
        let loops = "[1].exists(a, [1].exists(b, [1].exists(c, true)))";
        assert!(error(loops).why.contains("deep"));
    }

    #[test]
    fn the_deepest_expressions_that_are_allowed_are_judged_on_a_small_stack() {
        let texts = [
            format!("{}true", "!".repeat(OPERATORS_MAX)),
            format!("1{} > 0", "+1".repeat(OPERATORS_MAX - 1)),
            format!("1{} < 0", "-1".repeat(OPERATORS_MAX - 1)),
            format!("{}true", "false?true:".repeat(OPERATORS_MAX)),
            format!("a{} == 1", ".a".repeat(DOTS_MAX)),
            format!("true{}", "&&true".repeat(160)),
            "((((1+1+1)+1+1+1)+1+1+1)+1+1+1)+1+1+1 == 15".to_owned(),
            "1+1+1+(1+1+1+(1+1+1+(1+1+1+(1)))) == 13".to_owned(),
            "[1].exists(a, [1].exists(b, (a == b)))".to_owned(),
        ];
        let judge = move || {
            for text in texts {
                let expression = Expression::compile(&text).expect(&text);
                let attributes = Attributes::new();
                let question = Question { action: "x", context: Context::default(), attributes: &attributes };
                // A stack that overflows would end the test.
                assert_eq!(expression.holds(&question), !text.starts_with('a'), "{text}");
            }
        };
        std::thread::Builder::new().stack_size(1 << 20).spawn(judge).unwrap().join().unwrap();
    }
}
