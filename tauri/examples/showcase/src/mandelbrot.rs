//! A picture that takes some work.

/// Where to look, and how finely.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The middle.
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// What the width shows.
    pub(crate) across: f64,
    /// Points for each pixel, along one side.
    pub(crate) fine: u32,
    /// Steps after which a point counts as inside.
    pub(crate) steps: u32,
}

impl View {
    /// A row of pixels, as red, green and blue.
    pub(crate) fn row(&self, row: u32) -> Vec<u8> {
        (0..self.width).flat_map(|column| self.pixel(column, row)).collect()
    }

    fn pixel(&self, column: u32, row: u32) -> [u8; 3] {
        let step = self.across / f64::from(self.width);
        let at = |pixel: u32, part: u32, of: u32| {
            let middle = f64::from(of) / 2.0;
            f64::from(pixel) + (f64::from(part) + 0.5) / f64::from(self.fine) - middle
        };
        let mut sum = [0.0; 3];
        for part in 0..self.fine * self.fine {
            let x = self.x + at(column, part % self.fine, self.width) * step;
            let y = self.y + at(row, part / self.fine, self.height) * step;
            for (sum, colour) in sum.iter_mut().zip(colour(x, y, self.steps)) {
                *sum += colour;
            }
        }
        let points = f64::from(self.fine * self.fine);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
        sum.map(|sum| (sum / points * 255.0) as u8)
    }
}

/// The colour of a point: dark inside, bands of blue, white and amber by the steps it takes to get out.
fn colour(x: f64, y: f64, steps: u32) -> [f64; 3] {
    let (mut a, mut b) = (0.0, 0.0);
    for step in 0..steps {
        let (squared_a, squared_b) = (a * a, b * b);
        let size: f64 = squared_a + squared_b;
        if size > 256.0 {
            let smooth = f64::from(step) + 1.0 - (size.ln() / 2.0).log2();
            let turn = (smooth.max(0.0) * 0.35).sqrt() * 0.75 + 2.3;
            return [0.0, 0.35, 0.75].map(|shift| 0.5 + 0.5 * (turn + shift).cos());
        }
        b = 2.0 * a * b + y;
        a = squared_a - squared_b + x;
    }
    [0.04, 0.05, 0.09]
}
