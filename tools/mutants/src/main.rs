//! Plants mutants, as `cargo mutants --list --json` names them, into sources: each behind a switch at run time.
//!
//! Reads from standard input a JSON list of files with their mutants, rewrites the files, and prints which mutants are planted and
//! which cannot compile. Comments in what is written say where each mutant is: `/*{7*/ … /*}*/` is the code of mutant 7, and
//! `/*[7,8*/ … /*]*/` the expression that mutants 7 and 8 change.

use std::collections::HashMap;
use std::ops::Range;

use proc_macro2::Span;
use serde::{Deserialize, Serialize};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr, Member};

#[derive(Deserialize)]
struct File {
    path: String,
    mutants: Vec<Mutant>,
}

#[derive(Deserialize)]
struct Mutant {
    id: u32,
    genre: String,
    line: usize,
    column: usize,
    replacement: String,
}

#[derive(Default, Serialize)]
struct Outcome {
    planted: Vec<u32>,
    unviable: Vec<u32>,
}

struct Planter<'a> {
    source: &'a str,
    /// By genre, line and column, both from 1.
    mutants: HashMap<(&'a str, usize, usize), Vec<&'a Mutant>>,
    /// What replaces ranges of the source, none in another.
    edits: Vec<(Range<usize>, String)>,
    /// How many constants we are in: there, nothing can be switched.
    constants: usize,
    outcome: Outcome,
}

fn on(mutant: &Mutant) -> String {
    format!("crate::mutant_switch::on({})", mutant.id)
}

/// The code of a mutant.
fn marked(mutant: &Mutant, code: &str) -> String {
    format!("/*{{{}*/{code}/*}}*/", mutant.id)
}

impl<'a> Planter<'a> {
    fn at(&self, genre: &'static str, span: Span) -> Vec<&'a Mutant> {
        let start = span.start();
        self.mutants.get(&(genre, start.line, start.column + 1)).cloned().unwrap_or_default()
    }

    /// The source at `range`, as rewritten so far.
    fn text(&self, range: Range<usize>) -> String {
        let mut edits: Vec<_> = self.edits.iter().filter(|(r, _)| range.start <= r.start && r.end <= range.end).collect();
        edits.sort_by_key(|(r, _)| (r.start, r.end));
        let (mut text, mut from) = (String::new(), range.start);
        for (r, new) in edits {
            assert!(from <= r.start, "edits overlap");
            text += &self.source[from..r.start];
            text += new;
            from = r.end;
        }
        text + &self.source[from..range.end]
    }

    fn replace(&mut self, range: Range<usize>, new: String, mutants: &[&Mutant]) {
        let ids: Vec<_> = mutants.iter().map(|m| m.id.to_string()).collect();
        self.edits.retain(|(r, _)| !(range.start <= r.start && r.end <= range.end && !range.is_empty()));
        self.edits.push((range, format!("/*[{}*/{new}/*]*/", ids.join(","))));
        self.outcome.planted.extend(mutants.iter().map(|m| m.id));
    }

    fn constant(&mut self, visit: impl FnOnce(&mut Self)) {
        self.constants += 1;
        visit(self);
        self.constants -= 1;
    }

    /// `if on(1) { CODE } else if on(2) { CODE } else { PLAIN }`
    fn chain(mutants: &[&Mutant], code: impl Fn(&str) -> String, plain: &str) -> String {
        let mut text = String::new();
        for mutant in mutants {
            text += &format!("if {} {{ {} }} else ", on(mutant), marked(mutant, &code(&mutant.replacement)));
        }
        text + &format!("{{ {plain} }}")
    }

    fn function(&mut self, sig: &syn::Signature, block: &syn::Block) {
        let (Some(first), Some(last)) = (block.stmts.first(), block.stmts.last()) else { return };
        let mutants = self.at("FnValue", first.span());
        if mutants.is_empty() || sig.constness.is_some() {
            return;
        }
        let range = first.span().byte_range().start..last.span().byte_range().end;
        let output = &self.source[sig.output.span().byte_range()];
        if output.contains("impl Iterator") || output.contains("impl DoubleEnded") || output.contains("impl ExactSize") {
            // Each branch another type. What returns early is left to builds of its own.
            let body = self.text(range.clone());
            if body.contains("return") || !output.trim_start_matches("->").trim_start().starts_with("impl") {
                return;
            }
            let (mut text, mut tail, mut end) = (String::new(), String::new(), String::new());
            for mutant in &mutants {
                let code = marked(mutant, &mutant.replacement);
                text += &format!("if {} {{ {tail}crate::mutant_switch::Or::A({code}){end} }} else ", on(mutant));
                tail += "crate::mutant_switch::Or::B(";
                end += ")";
            }
            text += &format!("{{ {tail}{{ {body} }}{end} }}");
            self.replace(range, text, &mutants);
        } else {
            let text: Vec<_> = mutants
                .iter()
                .map(|m| format!("if {} {{ return {}; }} ", on(m), marked(m, if m.replacement == "()" { "" } else { &m.replacement })))
                .collect();
            self.replace(range.start..range.start, text.concat(), &mutants);
        }
    }

    fn binary(&mut self, node: &'a syn::ExprBinary) {
        let mutants = self.at("BinaryOperator", node.op.span());
        if mutants.is_empty() || self.constants > 0 {
            return;
        }
        let a = self.text(node.left.span().byte_range());
        let b = self.text(node.right.span().byte_range());
        let plain = &self.source[node.op.span().byte_range()];
        let new = match node.op {
            BinOp::And(_) | BinOp::Or(_) => {
                if has_let(&node.left) || has_let(&node.right) {
                    // Only && joins conditions with `let`.
                    self.outcome.unviable.extend(mutants.iter().map(|m| m.id));
                    return;
                }
                let [mutant] = mutants[..] else { return };
                if !matches!((plain, mutant.replacement.as_str()), ("&&", "||") | ("||", "&&")) {
                    return;
                }
                let compared = if plain == "&&" { "==" } else { "!=" };
                format!("({{ let mutant_l: bool = {a}; if mutant_l {compared} {} {{ mutant_l }} else {{ {b} }} }})", on(mutant))
            }
            BinOp::Eq(_) | BinOp::Ne(_) | BinOp::Lt(_) | BinOp::Le(_) | BinOp::Gt(_) | BinOp::Ge(_) => {
                let code = |op: &str| format!("*mutant_l {op} *mutant_r");
                format!("(match (&({a}), &({b})) {{ (mutant_l, mutant_r) => {} }})", Self::chain(&mutants, code, &code(plain)))
            }
            BinOp::AddAssign(_)
            | BinOp::SubAssign(_)
            | BinOp::MulAssign(_)
            | BinOp::DivAssign(_)
            | BinOp::RemAssign(_)
            | BinOp::BitXorAssign(_)
            | BinOp::BitAndAssign(_)
            | BinOp::BitOrAssign(_)
            | BinOp::ShlAssign(_)
            | BinOp::ShrAssign(_) => {
                let code = |op: &str| format!("{a} {op} mutant_r;");
                format!("(match ({b}) {{ mutant_r => {} }})", Self::chain(&mutants, code, &code(plain)))
            }
            _ => {
                let code = |op: &str| format!("mutant_l {op} mutant_r");
                format!("(match ({a}, {b}) {{ (mutant_l, mutant_r) => {} }})", Self::chain(&mutants, code, &code(plain)))
            }
        };
        self.replace(node.span().byte_range(), new, &mutants);
    }

    fn unary(&mut self, node: &syn::ExprUnary) {
        let mutants = self.at("UnaryOperator", node.op.span());
        if mutants.is_empty() || self.constants > 0 {
            return;
        }
        let value = self.text(node.expr.span().byte_range());
        let op = &self.source[node.op.span().byte_range()];
        let new = format!(
            "(match ({value}) {{ mutant_v => {} }})",
            Self::chain(&mutants, |new| format!("{new}mutant_v"), &format!("{op}mutant_v"))
        );
        self.replace(node.span().byte_range(), new, &mutants);
    }

    fn arm(&mut self, node: &syn::Arm) {
        let deleted = self.at("MatchArm", node.span());
        let guard = node.guard.as_ref().map(|(_, guard)| &**guard);
        let changed = guard.map(|guard| self.at("MatchArmGuard", guard.span())).unwrap_or_default();
        let all = [&deleted[..], &changed].concat();
        if all.is_empty() || self.constants > 0 || guard.is_some_and(has_let) {
            return;
        }
        let mut new = guard.map_or("true".to_owned(), |guard| format!("({})", self.text(guard.span().byte_range())));
        for mutant in &changed {
            new = match mutant.replacement.as_str() {
                "true" => format!("({} || {new})", on(mutant)),
                "false" => format!("(!{} && {new})", on(mutant)),
                _ => return,
            };
        }
        for mutant in &deleted {
            new = format!("(!{} && {new})", on(mutant));
        }
        let range = node.pat.span().byte_range().end..node.fat_arrow_token.span().byte_range().start;
        self.replace(range, format!(" if {new} "), &all);
    }

    fn struct_fields(&mut self, node: &syn::ExprStruct) {
        let Some(base) = &node.rest else { return };
        for field in &node.fields {
            let mutants = self.at("StructField", field.span());
            let ([mutant], Member::Named(name), 0) = (&mutants[..], &field.member, self.constants) else { continue };
            let value = self.text(field.expr.span().byte_range());
            let text = &self.source[base.span().byte_range()];
            let old = if matches!(**base, Expr::Path(_) | Expr::Field(_)) {
                format!("{text}.{name}")
            } else {
                format!("{{ let base: {} = {text}; base.{name} }}", &self.source[node.path.span().byte_range()])
            };
            let new = format!("{name}: if {} {{ {} }} else {{ {value} }}", on(mutant), marked(mutant, &old));
            self.replace(field.span().byte_range(), new, &mutants);
        }
    }
}

/// Whether a condition binds: `if let … && …`.
fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) => matches!(binary.op, BinOp::And(_)) && (has_let(&binary.left) || has_let(&binary.right)),
        _ => false,
    }
}

// Inner expressions first: what contains them takes their new text over.
impl<'a> Visit<'a> for Planter<'a> {
    fn visit_expr_binary(&mut self, node: &'a syn::ExprBinary) {
        visit::visit_expr_binary(self, node);
        self.binary(node);
    }

    fn visit_expr_unary(&mut self, node: &'a syn::ExprUnary) {
        visit::visit_expr_unary(self, node);
        self.unary(node);
    }

    fn visit_arm(&mut self, node: &'a syn::Arm) {
        visit::visit_arm(self, node);
        self.arm(node);
    }

    fn visit_expr_struct(&mut self, node: &'a syn::ExprStruct) {
        visit::visit_expr_struct(self, node);
        self.struct_fields(node);
    }

    fn visit_item_fn(&mut self, node: &'a syn::ItemFn) {
        let visit = |this: &mut Self| visit::visit_item_fn(this, node);
        if node.sig.constness.is_some() { self.constant(visit) } else { visit(self) }
        self.function(&node.sig, &node.block);
    }

    fn visit_impl_item_fn(&mut self, node: &'a syn::ImplItemFn) {
        let visit = |this: &mut Self| visit::visit_impl_item_fn(this, node);
        if node.sig.constness.is_some() { self.constant(visit) } else { visit(self) }
        self.function(&node.sig, &node.block);
    }

    fn visit_trait_item_fn(&mut self, node: &'a syn::TraitItemFn) {
        visit::visit_trait_item_fn(self, node);
        if let Some(block) = &node.default {
            self.function(&node.sig, block);
        }
    }

    fn visit_item_const(&mut self, node: &'a syn::ItemConst) {
        self.constant(|this| visit::visit_item_const(this, node));
    }

    fn visit_item_static(&mut self, node: &'a syn::ItemStatic) {
        self.constant(|this| visit::visit_item_static(this, node));
    }

    fn visit_impl_item_const(&mut self, node: &'a syn::ImplItemConst) {
        self.constant(|this| visit::visit_impl_item_const(this, node));
    }

    fn visit_trait_item_const(&mut self, node: &'a syn::TraitItemConst) {
        self.constant(|this| visit::visit_trait_item_const(this, node));
    }

    fn visit_expr_const(&mut self, node: &'a syn::ExprConst) {
        self.constant(|this| visit::visit_expr_const(this, node));
    }

    fn visit_expr_repeat(&mut self, node: &'a syn::ExprRepeat) {
        // Of a vector's macro nothing is visited: this is an array, of constant length.
        self.visit_expr(&node.expr);
        self.constant(|this| this.visit_expr(&node.len));
    }

    fn visit_variant(&mut self, node: &'a syn::Variant) {
        self.constant(|this| visit::visit_variant(this, node));
    }

    fn visit_type(&mut self, _: &'a syn::Type) {}

    fn visit_generic_argument(&mut self, _: &'a syn::GenericArgument) {}

    fn visit_pat(&mut self, _: &'a syn::Pat) {}

    fn visit_attribute(&mut self, _: &'a syn::Attribute) {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files: Vec<File> = serde_json::from_reader(std::io::stdin().lock())?;
    let mut outcome = Outcome::default();
    for File { path, mutants } in &files {
        let source = std::fs::read_to_string(path)?;
        let mut by_place: HashMap<_, Vec<_>> = HashMap::new();
        for mutant in mutants {
            by_place.entry((mutant.genre.as_str(), mutant.line, mutant.column)).or_default().push(mutant);
        }
        let mut planter =
            Planter { source: &source, mutants: by_place, edits: Vec::new(), constants: 0, outcome: Outcome::default() };
        let parsed = syn::parse_file(&source)?;
        planter.visit_file(&parsed);
        std::fs::write(path, planter.text(0..source.len()))?;
        outcome.planted.append(&mut planter.outcome.planted);
        outcome.unviable.append(&mut planter.outcome.unviable);
    }
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}
