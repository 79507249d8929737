//! Every op of every device at one small shape: the devices agree, and an operand that is one short, or an index that is out of range,
//! is a panic that names it before anything is read or written.

use std::any::Any;
use std::cell::RefCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cognate_ops::{AdamW, Cpu, Device, Heads, Precision, Reference, RopeTable, Soft, View, ViewMut};

/// Part of a buffer.
struct Operand<D: Device> {
    buffer: D::Buffer,
    range: Range<usize>,
}

impl<D: Device> Operand<D> {
    fn view(&self) -> View<'_, D> {
        View::new(&self.buffer, self.range.clone())
    }

    fn view_mut(&mut self) -> ViewMut<'_, D> {
        ViewMut::new(&mut self.buffer, self.range.clone())
    }
}

/// Hands out the operands of an op by name, one of them one short.
struct Operands<'a, D: Device> {
    device: &'a D,
    short: Option<&'static str>,
    names: RefCell<Vec<&'static str>>,
}

/// What an op wrote.
type Written = Vec<f32>;

impl<D: Device> Operands<'_, D> {
    fn len(&self, name: &'static str, len: usize) -> usize {
        self.names.borrow_mut().push(name);
        len - usize::from(self.short == Some(name))
    }

    fn holding(&self, name: &'static str, values: &[f32]) -> Operand<D> {
        let mut buffer = self.device.zeros(values.len());
        self.device.upload(&mut buffer, 0, values);
        Operand { buffer, range: 0..self.len(name, values.len()) }
    }

    /// Numbers in [−1, 1] that depend on the name.
    fn numbers(&self, name: &'static str, len: usize) -> Operand<D> {
        let seed = name.bytes().fold(7u32, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        self.holding(name, &numbers(seed, len))
    }

    fn indices(&self, name: &'static str, values: &[u32]) -> D::Indices {
        self.device.indices(&values[..self.len(name, values.len())])
    }

    fn written(&self, operands: &[&Operand<D>]) -> Written {
        let mut all = Vec::new();
        for operand in operands {
            let mut values = vec![0.0; operand.range.len()];
            self.device.download(&operand.buffer, 0, &mut values);
            all.append(&mut values);
        }
        all
    }
}

fn numbers(seed: u32, len: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// An op at a small shape.
struct Case<D: Device> {
    /// The method of [`Device`].
    op: &'static str,
    run: fn(&Operands<'_, D>) -> Written,
    /// How far two devices may be apart.
    bound: f64,
}

impl<D: Device> Case<D> {
    fn new(op: &'static str, bound: f64, run: fn(&Operands<'_, D>) -> Written) -> Self {
        Self { op, run, bound }
    }
}

const HEADS: Heads = Heads { query: 4, kv: 2, width: 6 };
const STARTS: [u32; 3] = [0, 3, 10];
const ROWS: usize = 10;

fn table() -> RopeTable {
    RopeTable::new(RopeTable::frequencies(100.0, HEADS.width), 16)
}

fn positions() -> Vec<u32> {
    (0..ROWS as u32).map(|row| row * 3 % 16).collect()
}

fn cases<D: Device>() -> Vec<Case<D>> {
    // A few roundings of sums of some twenty numbers in [−1, 1], or of quotients by a root mean square of about a half.
    const F32: f64 = 2e-5;
    // Sums of 20 products of numbers that are off by up to 1/254 of the largest.
    const INT8: f64 = 20.0 * 2.0 / 254.0;
    // Keys and values that are off by 2⁻⁹ of themselves.
    const BFLOAT16: f64 = 1e-2;
    let case = Case::<D>::new;
    vec![
        case("upload", 0.0, |o| {
            let mut buffer = o.device.zeros(o.len("buffer", 7));
            o.device.upload(&mut buffer, 2, &[1.0, 2.0, 3.0, 4.0, 5.0]);
            o.written(&[&Operand { buffer, range: 0..7 }])
        }),
        case("download", 0.0, |o| {
            let (buffer, mut values) = (o.device.zeros(o.len("buffer", 7)), vec![1.0; 5]);
            o.device.download(&buffer, 2, &mut values);
            values
        }),
        case("clear", 0.0, |o| {
            let mut buffer = o.device.zeros(3);
            o.device.upload(&mut buffer, 0, &[1.0, 2.0, 3.0]);
            let mut x = Operand::<D> { buffer, range: 1..2 };
            o.device.clear(x.view_mut());
            x.range = 0..3;
            o.written(&[&x])
        }),
        case("copy", 0.0, |o| {
            let (mut out, x) = (o.numbers("out", 9), o.numbers("x", 9));
            o.device.copy(out.view_mut(), x.view());
            o.written(&[&out])
        }),
        case("gather", 0.0, |o| {
            let (mut out, x, rows) = (o.numbers("out", 20), o.numbers("x", 15), o.indices("rows", &[2, 0, 2, 1]));
            o.device.gather(out.view_mut(), x.view(), &rows, 5);
            o.written(&[&out])
        }),
        case("scatter", 0.0, |o| {
            let (mut out, x, rows) = (o.numbers("out", 20), o.numbers("x", 15), o.indices("rows", &[3, 0, 1]));
            o.device.scatter(out.view_mut(), x.view(), &rows, 5);
            o.written(&[&out])
        }),
        case("gather_backward", F32, |o| {
            let (mut dtable, dx) = (o.numbers("dtable", 15), o.numbers("dx", 20));
            o.device.gather_backward(dtable.view_mut(), dx.view(), &o.indices("rows", &[2, 0, 2, 1]), 5);
            o.written(&[&dtable])
        }),
        case("rms_norm", F32, |o| {
            let (mut out, mut inv_rms) = (o.numbers("out", 30), o.numbers("inv_rms", 3));
            let (x, weight) = (o.numbers("x", 30), o.numbers("weight", 10));
            o.device.rms_norm(out.view_mut(), inv_rms.view_mut(), x.view(), weight.view(), 1e-6);
            o.written(&[&out, &inv_rms])
        }),
        case("rms_norm_backward", F32, |o| {
            let (mut dx, mut dweight, dout) = (o.numbers("dx", 30), o.numbers("dweight", 10), o.numbers("dout", 30));
            let (x, inv_rms, weight) = (o.numbers("x", 30), o.numbers("inv_rms", 3), o.numbers("weight", 10));
            let (dx_view, dweight_view) = (dx.view_mut(), dweight.view_mut());
            o.device.rms_norm_backward(dx_view, dweight_view, dout.view(), x.view(), inv_rms.view(), weight.view());
            o.written(&[&dx, &dweight])
        }),
        case("matmul", F32, |o| {
            let (mut out, x, weight) = (o.numbers("out", 77), o.numbers("x", 140), o.numbers("weight", 220));
            o.device.matmul(out.view_mut(), x.view(), weight.view(), 20, 11, true);
            o.written(&[&out])
        }),
        case("pack", F32, |o| packed(o, Precision::F32, true)),
        case("pack", INT8, |o| packed(o, Precision::Int8, true)),
        case("matmul_packed", F32, |o| packed(o, Precision::F32, false)),
        case("matmul_packed", INT8, |o| packed(o, Precision::Int8, false)),
        case("matmul_input_gradient", F32, |o| {
            let (mut dx, dout, weight) = (o.numbers("dx", 140), o.numbers("dout", 77), o.numbers("weight", 220));
            o.device.matmul_input_gradient(dx.view_mut(), dout.view(), weight.view(), 20, 11);
            o.written(&[&dx])
        }),
        case("matmul_weight_gradient", F32, |o| {
            let (mut dweight, dout, x) = (o.numbers("dweight", 220), o.numbers("dout", 77), o.numbers("x", 140));
            o.device.matmul_weight_gradient(dweight.view_mut(), dout.view(), x.view(), 20, 11);
            o.written(&[&dweight])
        }),
        case("rope", F32, |o| rotated(o, true)),
        // Only the devices that keep it know what 1/rms is without a norm.
        case("rope", F32, |o| rotated(o, false)),
        case("rope_backward", F32, |o| rotated_back(o, true)),
        case("rope_backward", F32, |o| rotated_back(o, false)),
        case("attention", F32, |o| {
            let (mut out, mut lse) =
                (o.numbers("out", ROWS * HEADS.query_width()), o.numbers("lse", ROWS * HEADS.query));
            let (qk, qkv) = (o.numbers("qk", ROWS * HEADS.qk_width()), o.numbers("qkv", ROWS * HEADS.qkv_width()));
            let starts = o.indices("starts", &STARTS);
            o.device.attention(out.view_mut(), lse.view_mut(), qk.view(), qkv.view(), &starts, HEADS);
            o.written(&[&out, &lse])
        }),
        case("attention_backward", F32, attended_back),
        case("kv_cache", 0.0, |o| {
            let len = |positions, precision| o.device.len(&o.device.kv_cache(positions, HEADS, precision)) as f32;
            vec![len(32, Precision::F32)]
        }),
        case("attention_cached", F32, |o| remembered(o, Precision::F32)),
        case("attention_cached", BFLOAT16, |o| remembered(o, Precision::Int8)),
        case("swiglu", F32, |o| {
            let (mut out, gate_up) = (o.numbers("out", 21), o.numbers("gate_up", 42));
            o.device.swiglu(out.view_mut(), gate_up.view(), 7);
            o.written(&[&out])
        }),
        case("swiglu_backward", F32, |o| {
            let (mut dgate_up, dout, gate_up) =
                (o.numbers("dgate_up", 42), o.numbers("dout", 21), o.numbers("gate_up", 42));
            o.device.swiglu_backward(dgate_up.view_mut(), dout.view(), gate_up.view(), 7);
            o.written(&[&dgate_up])
        }),
        case("cross_entropy", F32, |o| {
            let (mut losses, mut logits) = (o.numbers("losses", 3), o.numbers("logits", 33));
            let targets = o.indices("targets", &[99, 99, 10, 0, 4]);
            o.device.cross_entropy(losses.view_mut(), logits.view_mut(), &targets, 2, 11, Some(0.5));
            o.written(&[&losses, &logits])
        }),
        case("soft_cross_entropy", F32, |o| {
            let (mut losses, mut logits) = (o.numbers("losses", 3), o.numbers("logits", 33));
            let targets = o.indices("targets", &[99, 99, 10, 0, 4]);
            let ids = o.indices("ids", &[99, 99, 99, 99, 3, 10, 1, 0, 5, 4]);
            let probabilities = o.holding("probabilities", &[0.5, 0.25, 0.75, 0.125, 0.25, 0.125]);
            let soft = Soft { top: 2, ids: &ids, probabilities: probabilities.view(), share: 0.5, temperature: 2.0 };
            o.device.soft_cross_entropy(losses.view_mut(), logits.view_mut(), &targets, soft, 2, 11, 0.5);
            o.written(&[&losses, &logits])
        }),
        case("sum", F32, |o| vec![o.device.sum(o.numbers("any", 40).view()) as f32]),
        case("sum_of_squares", F32, |o| vec![o.device.sum_of_squares(o.numbers("any", 40).view()) as f32]),
        case("adamw", F32, |o| {
            let (mut parameters, gradients) = (o.numbers("parameters", 40), o.numbers("gradients", 40));
            let (mut first, mut second) = (o.numbers("first_moment", 40), o.numbers("second_moment", 40));
            // Squares.
            let squares: Written = o.written(&[&second]).iter().map(|v| v * v).collect();
            o.device.upload(&mut second.buffer, 0, &squares);
            let settings = AdamW {
                rate: 1e-2,
                beta1: 0.9,
                beta2: 0.95,
                epsilon: 1e-8,
                weight_decay: 0.1,
                step: 3,
                gradient_scale: 0.7,
            };
            let (p, g, m, v) = (parameters.view_mut(), gradients.view(), first.view_mut(), second.view_mut());
            o.device.adamw(p, g, m, v, &settings);
            o.written(&[&parameters, &first, &second])
        }),
    ]
}

/// A product with a packed weight, of which packing or the product is on trial.
fn packed<D: Device>(o: &Operands<'_, D>, precision: Precision, packing: bool) -> Written {
    let whole = Operands { device: o.device, short: None, names: RefCell::default() };
    let (pack, multiply) = if packing { (o, &whole) } else { (&whole, o) };
    let weight = o.device.pack(pack.numbers("weight", 220).view(), 20, 11, precision);
    let (mut out, x) = (multiply.numbers("out", 77), multiply.numbers("x", 140));
    o.device.matmul_packed(out.view_mut(), x.view(), &weight, true);
    o.written(&[&out])
}

fn rotated<D: Device>(o: &Operands<'_, D>, normed: bool) -> Written {
    let mut qk = o.numbers("qk", ROWS * HEADS.qk_width());
    let mut inv_rms = o.numbers("inv_rms", ROWS * (HEADS.query + HEADS.kv));
    let qkv = o.numbers("qkv", ROWS * HEADS.qkv_width());
    let norm = normed.then(|| (o.numbers("norm_q", HEADS.width), o.numbers("norm_k", HEADS.width)));
    let views = norm.as_ref().map(|(q, k)| (q.view(), k.view()));
    let positions = o.indices("positions", &positions());
    o.device.rope(qk.view_mut(), inv_rms.view_mut(), qkv.view(), views, &positions, &table(), HEADS, 1e-6);
    // What 1/rms is where there is no norm is left open.
    if normed { o.written(&[&qk, &inv_rms]) } else { o.written(&[&qk]) }
}

fn rotated_back<D: Device>(o: &Operands<'_, D>, normed: bool) -> Written {
    let mut dqkv = o.numbers("dqkv", ROWS * HEADS.qkv_width());
    let qkv = o.numbers("qkv", ROWS * HEADS.qkv_width());
    let inv_rms = o.numbers("inv_rms", ROWS * (HEADS.query + HEADS.kv));
    let norm = normed.then(|| (o.numbers("norm_q", HEADS.width), o.numbers("norm_k", HEADS.width)));
    let mut dnorm = normed.then(|| o.numbers("dnorm", 2 * HEADS.width));
    let views = norm.as_ref().map(|(q, k)| (q.view(), k.view()));
    let positions = o.indices("positions", &positions());
    let dnorm_view = dnorm.as_mut().map(Operand::view_mut);
    let (dqkv_view, qkv, inv_rms) = (dqkv.view_mut(), qkv.view(), inv_rms.view());
    o.device.rope_backward(dqkv_view, dnorm_view, qkv, inv_rms, views, &positions, &table(), HEADS);
    let written: Vec<&Operand<D>> = [&dqkv].into_iter().chain(&dnorm).collect();
    o.written(&written)
}

fn attended_back<D: Device>(o: &Operands<'_, D>) -> Written {
    let (qk, qkv) = (o.numbers("qk", ROWS * HEADS.qk_width()), o.numbers("qkv", ROWS * HEADS.qkv_width()));
    // What forward saved, of operands that are whole.
    let whole = Operands { device: o.device, short: None, names: RefCell::default() };
    let (mut out, mut lse) =
        (whole.numbers("out", ROWS * HEADS.query_width()), whole.numbers("lse", ROWS * HEADS.query));
    let all = |operand: &Operand<D>, len: usize| View::<D>::new(&operand.buffer, 0..len).range;
    let (all_qk, all_qkv) = (all(&qk, ROWS * HEADS.qk_width()), all(&qkv, ROWS * HEADS.qkv_width()));
    let (qk_view, qkv_view) = (View::new(&qk.buffer, all_qk), View::new(&qkv.buffer, all_qkv));
    let starts = o.device.indices(&STARTS);
    o.device.attention(out.view_mut(), lse.view_mut(), qk_view, qkv_view, &starts, HEADS);
    out.range.end = o.len("out", out.range.end);
    lse.range.end = o.len("lse", lse.range.end);
    let mut dqkv = o.numbers("dqkv", ROWS * HEADS.qkv_width());
    let dout = o.numbers("dout", ROWS * HEADS.query_width());
    let starts = o.indices("starts", &STARTS);
    let (dqkv_view, dout, saved) = (dqkv.view_mut(), dout.view(), (out.view(), lse.view()));
    o.device.attention_backward(dqkv_view, dout, saved.0, saved.1, qk.view(), qkv.view(), &starts, HEADS);
    o.written(&[&dqkv])
}

/// Two rows of slot 1, then one of slot 0.
fn remembered<D: Device>(o: &Operands<'_, D>, precision: Precision) -> Written {
    let mut cache = o.device.kv_cache(2 * 16, HEADS, precision);
    let len = o.device.len(&cache);
    let short = o.len("cache", len);
    if short < len {
        cache = o.device.zeros(short);
    }
    let mut out = o.numbers("out", 3 * HEADS.query_width());
    let (qk, qkv) = (o.numbers("qk", 3 * HEADS.qk_width()), o.numbers("qkv", 3 * HEADS.qkv_width()));
    let (slots, positions) = (o.indices("slots", &[1, 1, 0]), o.indices("positions", &[0, 1, 0]));
    let (out_view, qk, qkv) = (out.view_mut(), qk.view(), qkv.view());
    o.device.attention_cached(out_view, &mut cache, qk, qkv, &slots, &positions, 16, HEADS, precision);
    o.written(&[&out])
}

fn message(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text.clone(),
        (_, Some(text)) => (*text).to_owned(),
        _ => "a panic without words".to_owned(),
    }
}

/// The words of a message, names of operands among them.
fn words(message: &str) -> impl Iterator<Item = &str> {
    message.split(|c: char| !(c.is_alphanumeric() || c == '_'))
}

fn refuses_each_short_operand<D: Device>(device: &D) {
    for case in cases::<D>() {
        let whole = Operands { device, short: None, names: RefCell::default() };
        (case.run)(&whole);
        let names = whole.names.into_inner();
        for name in names.into_iter().filter(|name| *name != "any") {
            let operands = Operands { device, short: Some(name), names: RefCell::default() };
            let outcome = catch_unwind(AssertUnwindSafe(|| (case.run)(&operands)));
            let Err(panic) = outcome else { panic!("{}: {name} is one short, and nothing was said", case.op) };
            let message = message(&*panic);
            assert!(words(&message).any(|word| word == name), "{}: {name} is one short: {message}", case.op);
            assert!(
                message.contains("expected") || message.contains("rows") || message.contains("numbers"),
                "{message}"
            );
        }
    }
}

#[test]
fn an_operand_that_is_one_short_is_refused_by_name() {
    refuses_each_short_operand(&device());
    refuses_each_short_operand(&Reference);
}

fn device() -> Cpu {
    Cpu::new(2).expect("two threads")
}

/// The text of the trait has more methods than the table: one was added without its case.
#[test]
fn the_table_has_every_op() {
    let text = include_str!("../../src/device.rs");
    let methods = text.lines().skip_while(|line| !line.starts_with("pub trait Device"));
    let named = methods.filter_map(|line| line.strip_prefix("    fn ")?.split(['(', '<']).next());
    let tried: Vec<&str> = cases::<Reference>().iter().map(|case| case.op).collect();
    let without_operands = ["zeros", "len", "indices", "each"];
    let missing: Vec<&str> = named.filter(|name| !tried.contains(name) && !without_operands.contains(name)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn the_devices_agree_on_every_op() {
    let device = device();
    for (fast, plain) in cases::<Cpu>().iter().zip(cases::<Reference>()) {
        let fast_wrote = (fast.run)(&Operands { device: &device, short: None, names: RefCell::default() });
        let plain_wrote = (plain.run)(&Operands { device: &Reference, short: None, names: RefCell::default() });
        assert_eq!(fast_wrote.len(), plain_wrote.len(), "{}", fast.op);
        for (at, (a, b)) in fast_wrote.iter().zip(&plain_wrote).enumerate() {
            let apart = f64::from((a - b).abs());
            assert!(
                apart <= fast.bound,
                "{}: number {at}: {a} against {b}, allowed difference {:e}",
                fast.op,
                fast.bound
            );
        }
    }
}

/// A call with an index or a size that cannot be, and a part of what is said of it.
struct Bad<D: Device> {
    run: fn(&D, &mut D::Buffer, &D::Buffer),
    said: &'static str,
}

impl<D: Device> Bad<D> {
    fn new(said: &'static str, run: fn(&D, &mut D::Buffer, &D::Buffer)) -> Self {
        Self { run, said }
    }
}

fn bad_calls<D: Device>() -> Vec<Bad<D>> {
    fn rope<D: Device>(device: &D, out: &mut D::Buffer, x: &D::Buffer, heads: Heads, table: &RopeTable, position: u32) {
        let mut inv_rms = device.zeros(3);
        let (qk, qkv) = (ViewMut::new(out, 0..heads.qk_width()), View::new(x, 0..heads.qkv_width()));
        let inv_rms = ViewMut::new(&mut inv_rms, 0..heads.query + heads.kv);
        device.rope(qk, inv_rms, qkv, None, &device.indices(&[position]), table, heads, 1e-6);
    }
    fn attention<D: Device>(device: &D, out: &mut D::Buffer, x: &D::Buffer, starts: &[u32], heads: Heads) {
        let mut lse = device.zeros(4);
        let (out, lse) = (ViewMut::new(out, 0..8), ViewMut::new(&mut lse, 0..4));
        device.attention(out, lse, View::new(x, 0..16), View::new(x, 0..24), &device.indices(starts), heads);
    }
    fn cached<D: Device>(device: &D, out: &mut D::Buffer, x: &D::Buffer, slots: &[u32], at: &[u32], capacity: usize) {
        let heads = Heads { query: 1, kv: 1, width: 2 };
        let mut cache = device.kv_cache(2 * 16, heads, Precision::F32);
        let rows = slots.len();
        let (out, qk, qkv) = (ViewMut::new(out, 0..2 * rows), View::new(x, 0..4 * rows), View::new(x, 0..6 * rows));
        let (slots, at) = (device.indices(slots), device.indices(at));
        device.attention_cached(out, &mut cache, qk, qkv, &slots, &at, capacity, heads, Precision::F32);
    }
    const ONE: Heads = Heads { query: 1, kv: 1, width: 2 };
    let bad = Bad::<D>::new;
    vec![
        bad("gather: x has 3 rows, and row 3 is asked for", |d, out, x| {
            d.gather(ViewMut::new(out, 0..10), View::new(x, 0..15), &d.indices(&[0, 3]), 5);
        }),
        bad("gather_backward: dtable has 3 rows, and row 3 is asked for", |d, out, x| {
            d.gather_backward(ViewMut::new(out, 0..15), View::new(x, 0..10), &d.indices(&[3, 0]), 5);
        }),
        bad("scatter: out has 3 rows, and row 4 is asked for", |d, out, x| {
            d.scatter(ViewMut::new(out, 0..15), View::new(x, 0..10), &d.indices(&[4, 0]), 5);
        }),
        bad("scatter: row 1 twice", |d, out, x| {
            d.scatter(ViewMut::new(out, 0..15), View::new(x, 0..10), &d.indices(&[1, 1]), 5);
        }),
        bad("cross_entropy: targets hold 5, the vocabulary has 5", |d, out, _| {
            let mut losses = d.zeros(2);
            let (losses, logits) = (ViewMut::new(&mut losses, 0..2), ViewMut::new(out, 0..10));
            d.cross_entropy(losses, logits, &d.indices(&[0, 5]), 0, 5, None);
        }),
        bad("soft_cross_entropy: the vocabulary has 5 rows, and row 6 is asked for", |d, out, x| {
            let mut losses = d.zeros(2);
            let (losses, logits) = (ViewMut::new(&mut losses, 0..2), ViewMut::new(out, 0..10));
            let probabilities = View::new(x, 0..2);
            let soft = Soft { top: 1, ids: &d.indices(&[0, 6]), probabilities, share: 0.5, temperature: 1.0 };
            d.soft_cross_entropy(losses, logits, &d.indices(&[0, 4]), soft, 0, 5, 1.0);
        }),
        bad("rope: positions hold 4, the table has 4", |d, out, x| {
            rope(d, out, x, ONE, &RopeTable::new(vec![1.0], 4), 4);
        }),
        bad("rope: a table for heads of 4, heads of 2", |d, out, x| {
            rope(d, out, x, ONE, &RopeTable::new(vec![1.0, 0.5], 4), 0);
        }),
        bad("rope_backward: dnorm is there where norm is", |d, out, x| {
            let norm = Some((View::new(x, 0..2), View::new(x, 0..2)));
            let (dqkv, qkv, inv_rms) = (ViewMut::new(out, 0..6), View::new(x, 0..6), View::new(x, 0..2));
            d.rope_backward(dqkv, None, qkv, inv_rms, norm, &d.indices(&[0]), &RopeTable::new(vec![1.0], 4), ONE);
        }),
        bad("attention: starts are not in order", |d, out, x| attention(d, out, x, &[0, 3, 2, 4], ONE)),
        bad("attention: starts begin with a row other than the first", |d, out, x| attention(d, out, x, &[1, 4], ONE)),
        bad("attention: out has 8 numbers, expected 10", |d, out, x| attention(d, out, x, &[0, 5], ONE)),
        bad("heads: 3 query heads cannot share 2 key/value heads", |d, out, x| {
            attention(d, out, x, &[0, 4], Heads { query: 3, kv: 2, width: 2 });
        }),
        bad("heads: 1 query heads cannot share 0 key/value heads", |d, out, x| {
            attention(d, out, x, &[0, 4], Heads { query: 1, kv: 0, width: 2 });
        }),
        bad("heads: a width of 3, expected an even number", |d, out, x| {
            attention(d, out, x, &[0, 4], Heads { query: 1, kv: 1, width: 3 });
        }),
        bad("more numbers than an address can count", |d, out, x| {
            attention(d, out, x, &[0, 4], Heads { query: 1, kv: 1, width: 1 << 63 });
        }),
        bad("more numbers than an address can count", |d, out, x| {
            d.matmul(ViewMut::new(out, 0..4), View::new(x, 0..0), View::new(x, 0..0), 1 << 63, 2, false);
        }),
        bad("attention_cached: a capacity of 20", |d, out, x| cached(d, out, x, &[0], &[0], 20)),
        bad("attention_cached: positions hold one beyond the cache's 16", |d, out, x| {
            cached(d, out, x, &[0], &[16], 16)
        }),
        bad("attention_cached: cache has 128 numbers", |d, out, x| cached(d, out, x, &[0, 2], &[0, 0], 16)),
        bad("attention_cached: the rows of a slot do not stand together", |d, out, x| {
            cached(d, out, x, &[0, 1, 0], &[0, 0, 1], 16);
        }),
        bad("attention_cached: positions of a slot do not ascend", |d, out, x| cached(d, out, x, &[1, 1], &[1, 0], 16)),
    ]
}

fn refuses_bad_calls<D: Device>(device: &D) {
    for bad in bad_calls::<D>() {
        let (mut out, x) = (device.zeros(64), device.zeros(64));
        let outcome = catch_unwind(AssertUnwindSafe(|| (bad.run)(device, &mut out, &x)));
        let Err(panic) = outcome else { panic!("nothing was said where \"{}\" should have been", bad.said) };
        let message = message(&*panic);
        assert!(message.contains(bad.said), "\"{message}\" where \"{}\" was expected", bad.said);
    }
}

#[test]
fn an_index_or_size_that_cannot_be_is_refused_by_name() {
    refuses_bad_calls(&device());
    refuses_bad_calls(&Reference);
}

/// In f32, a sum of so many terms would stop growing or lose three digits.
#[test]
fn a_sum_of_losses_keeps_its_digits() {
    let device = device();
    let mut losses = device.zeros(1_000_000);
    device.upload(&mut losses, 0, &vec![0.1; 1_000_000]);
    let exact = 1e6 * f64::from(0.1f32);
    assert!((device.sum(View::new(&losses, 0..1_000_000)) / exact - 1.0).abs() < 1e-12);
}
