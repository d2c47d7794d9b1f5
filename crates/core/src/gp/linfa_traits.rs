//! linfa's traits, so that the process can stand where its other regressors do.

use linfa::{
    DatasetBase,
    traits::{Fit, PredictInplace},
};
use ndarray::{Array1, Array2};

use super::{Gp, GpError, GpSpec, Observations};

impl Fit<Array2<f64>, Array1<f64>, GpError> for GpSpec {
    type Object = Gp;

    fn fit(&self, data: &DatasetBase<Array2<f64>, Array1<f64>>) -> Result<Gp, GpError> {
        Self::fit(self, &Observations::new(data.records().clone(), data.targets().to_vec())?)
    }
}

impl PredictInplace<Array2<f64>, Array1<f64>> for Gp {
    fn predict_inplace(&self, x: &Array2<f64>, y: &mut Array1<f64>) {
        assert_eq!(x.nrows(), y.len(), "one target for each row");
        y.iter_mut().zip(self.posterior(x)).for_each(|(y, posterior)| *y = posterior.mean);
    }

    fn default_target(&self, x: &Array2<f64>) -> Array1<f64> {
        Array1::zeros(x.nrows())
    }
}

impl From<linfa::Error> for GpError {
    fn from(error: linfa::Error) -> Self {
        Self::DataSet(error.to_string())
    }
}
