//! Opens a checkpoint and saves it again: `resave FROM TO`. What `tools/reference/resaved.py` opens with transformers.

use std::path::Path;

use cognate_model::Decoder;
use cognate_ops::Cpu;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = &arguments[..] else { return Err("usage: resave FROM TO".into()) };
    let (model, _) = Decoder::load(Cpu::new(1)?, Path::new(from))?;
    model.save(Path::new(to), None, |_| Ok(()))?;
    Ok(())
}
