//! What GPUs there are and who holds their memory, by NVML, the driver's own library. It is loaded
//! at run time; a machine without it has no GPUs here.

use std::time::Duration;

use nvml_wrapper::{
    Device, cuda_driver_version_major, cuda_driver_version_minor, enums::device::UsedGpuMemory,
    error::NvmlError,
};
use serde::Serialize;
use slotune_serving::Hardware;
use tokio::time::{sleep, timeout};

/// How often one looks whether memory has become free.
const LOOK: Duration = Duration::from_millis(200);
/// Memory that may come and go without a server, such as a monitor's context.
const MARGIN_BYTES: u64 = 256 << 20;
/// More used memory than this on a GPU that should be idle is somebody's, although no process can
/// be seen: in a container, processes outside it are hidden.
const IDLE_BYTES: u64 = 512 << 20;
const GIB: f64 = (1_u64 << 30) as f64;

/// Tells the state of the GPUs. [`Nvml`] is the real one; tests bring their own.
pub trait GpuReader: Send + Sync {
    /// All GPUs of the machine, now.
    ///
    /// # Errors
    /// [`GpuError::Nvml`] when the driver does not answer.
    fn read(&self) -> Result<Vec<Gpu>, GpuError>;
}

/// One GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gpu {
    /// Number in the order of the bus (NVML's).
    pub index: u32,
    /// Identifier that stays, such as `GPU-8f6d…`.
    pub uuid: String,
    /// Name of the product.
    pub name: String,
    /// Memory, bytes.
    pub memory_total_bytes: u64,
    /// Memory that somebody holds, bytes; without what the driver reserves.
    pub memory_used_bytes: u64,
    /// Processes that compute on it, as far as they can be seen.
    pub processes: Vec<GpuProcess>,
}

/// A process that computes on a GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GpuProcess {
    /// Number of the process.
    pub pid: u32,
    /// Memory it holds, bytes, where the driver tells.
    pub memory_bytes: Option<u64>,
}

impl Gpu {
    /// Whether somebody holds memory of this GPU. Before a start, that is somebody else.
    pub fn is_held(&self) -> bool {
        !self.processes.is_empty() || self.memory_used_bytes > IDLE_BYTES
    }

    /// Total memory, GiB.
    pub fn memory_total_gib(&self) -> f64 {
        self.memory_total_bytes as f64 / GIB
    }

    /// Held memory, GiB.
    pub fn memory_used_gib(&self) -> f64 {
        self.memory_used_bytes as f64 / GIB
    }
}

/// The GPUs that a process with this value of `CUDA_VISIBLE_DEVICES` sees, in its order: numbers or
/// beginnings of identifiers, up to the first that names none. Without a value it sees all.
///
/// Numbers are NVML's, which are CUDA's where all GPUs are alike or `CUDA_DEVICE_ORDER` is
/// `PCI_BUS_ID`.
pub fn visible(gpus: Vec<Gpu>, cuda_visible_devices: Option<&str>) -> Vec<Gpu> {
    let Some(list) = cuda_visible_devices else { return gpus };
    list.split(',')
        .map(str::trim)
        .map_while(|entry| {
            gpus.iter().find(|gpu| match entry.parse::<u32>() {
                Ok(index) => gpu.index == index,
                Err(_) => !entry.is_empty() && gpu.uuid.starts_with(entry),
            })
        })
        .cloned()
        .collect()
}

/// Waits until the GPUs that were there before hold no more memory than then, apart from a small
/// margin, at most `limit`.
///
/// # Errors
/// [`GpuError::StillHeld`] when one does not become free in time, [`GpuError::Nvml`] when the driver
/// does not answer.
pub async fn wait_until_free(
    reader: &dyn GpuReader,
    before: &[Gpu],
    limit: Duration,
) -> Result<(), GpuError> {
    let free = async {
        while first_held(&reader.read()?, before).is_some() {
            sleep(LOOK).await;
        }
        Ok(())
    };
    match timeout(limit, free).await {
        Ok(result) => result,
        Err(_) => first_held(&reader.read()?, before).map_or(Ok(()), Err),
    }
}

/// The first GPU that holds more than before, as an error.
fn first_held(now: &[Gpu], before: &[Gpu]) -> Option<GpuError> {
    before.iter().find_map(|before| {
        let now = now.iter().find(|now| now.uuid == before.uuid)?;
        (now.memory_used_bytes > before.memory_used_bytes + MARGIN_BYTES).then(|| {
            GpuError::StillHeld {
                index: now.index,
                before_gib: before.memory_used_gib(),
                used_gib: now.memory_used_gib(),
                pids: now.processes.iter().map(|process| process.pid).collect(),
            }
        })
    })
}

/// What can go wrong with GPUs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// The driver does not answer.
    #[error("the GPU driver does not answer: {0}; try `nvidia-smi`")]
    Nvml(#[source] NvmlError),
    /// Memory stays in use after a server has gone.
    #[error(
        "GPU {index} still holds {used_gib:.1} GiB, {before_gib:.1} GiB before the server; \
         processes that compute on it: {pids:?}"
    )]
    StillHeld {
        /// Number of the GPU.
        index: u32,
        /// Held before the start, GiB.
        before_gib: f64,
        /// Held now, GiB.
        used_gib: f64,
        /// Processes that compute on it, as far as they can be seen.
        pids: Vec<u32>,
    },
}

/// The driver's library.
#[derive(Debug)]
pub struct Nvml(nvml_wrapper::Nvml);

impl Nvml {
    /// Loads the library, or gives nothing where there is no NVIDIA driver.
    pub fn load() -> Option<Self> {
        nvml_wrapper::Nvml::init().ok().map(Self)
    }

    /// Version of the driver, such as `580.95.05`.
    pub fn driver_version(&self) -> Option<String> {
        self.0.sys_driver_version().ok()
    }

    /// Newest version of CUDA that the driver supports, such as `13.0`.
    pub fn cuda_version(&self) -> Option<String> {
        let version = self.0.sys_cuda_driver_version().ok()?;
        let (major, minor) =
            (cuda_driver_version_major(version), cuda_driver_version_minor(version));
        Some(format!("{major}.{minor}"))
    }

    /// The machine, for the record, of which a server sees these GPUs.
    pub fn hardware(&self, visible: &[Gpu]) -> Hardware {
        Hardware {
            gpu: visible.first().map(|gpu| gpu.name.clone()),
            gpu_memory_gib: visible.first().map(Gpu::memory_total_gib),
            gpus: u32::try_from(visible.len()).ok(),
            driver_version: self.driver_version(),
            cuda_version: self.cuda_version(),
        }
    }
}

impl GpuReader for Nvml {
    fn read(&self) -> Result<Vec<Gpu>, GpuError> {
        let count = self.0.device_count().map_err(GpuError::Nvml)?;
        let gpu = |index| self.0.device_by_index(index).and_then(|device| gpu(index, &device));
        (0..count).map(gpu).collect::<Result<_, _>>().map_err(GpuError::Nvml)
    }
}

fn gpu(index: u32, device: &Device<'_>) -> Result<Gpu, NvmlError> {
    let memory = device.memory_info()?;
    // Some virtual machines forbid to list processes; memory tells enough then.
    let processes = device.running_compute_processes().unwrap_or_default();
    Ok(Gpu {
        index,
        uuid: device.uuid()?,
        name: device.name()?,
        memory_total_bytes: memory.total,
        memory_used_bytes: memory.used,
        processes: processes
            .into_iter()
            .map(|process| GpuProcess {
                pid: process.pid,
                memory_bytes: match process.used_gpu_memory {
                    UsedGpuMemory::Used(bytes) => Some(bytes),
                    UsedGpuMemory::Unavailable => None,
                },
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn gpu(index: u32, used_gib: u64, pids: &[u32]) -> Gpu {
        Gpu {
            index,
            uuid: format!("GPU-{index}a"),
            name: "NVIDIA H100 80GB HBM3".to_owned(),
            memory_total_bytes: 80 << 30,
            memory_used_bytes: used_gib << 30,
            processes: pids
                .iter()
                .map(|pid| GpuProcess { pid: *pid, memory_bytes: None })
                .collect(),
        }
    }

    /// Answers from a script, of which the last answer stays.
    struct Script(Mutex<Vec<Vec<Gpu>>>);

    impl GpuReader for Script {
        fn read(&self) -> Result<Vec<Gpu>, GpuError> {
            let mut script = self.0.lock().unwrap();
            Ok(if script.len() > 1 { script.remove(0) } else { script[0].clone() })
        }
    }

    #[tokio::test]
    async fn memory_is_waited_for() {
        let before = [gpu(0, 1, &[])];
        // The other GPU is somebody else's.
        let busy = vec![gpu(0, 70, &[7]), gpu(1, 60, &[8])];
        let free = vec![gpu(0, 1, &[]), gpu(1, 60, &[8])];
        let script = Script(Mutex::new(vec![busy.clone(), busy.clone(), free]));
        wait_until_free(&script, &before, Duration::from_mins(1)).await.unwrap();

        let script = Script(Mutex::new(vec![busy]));
        let error = wait_until_free(&script, &before, Duration::ZERO).await.unwrap_err();
        assert!(error.to_string().contains("GPU 0 still holds 70.0 GiB"), "{error}");
        assert!(error.to_string().contains("[7]"), "{error}");
    }

    #[test]
    fn a_gpu_is_held_by_a_process_or_by_memory_of_hidden_ones() {
        assert!(!gpu(0, 0, &[]).is_held());
        assert!(gpu(0, 0, &[1]).is_held());
        assert!(gpu(0, 1, &[]).is_held());
    }

    #[test]
    fn visible_gpus_are_those_that_cuda_shows() {
        let gpus = || vec![gpu(0, 0, &[]), gpu(1, 0, &[]), gpu(2, 0, &[])];
        let indices = |list| visible(gpus(), list).iter().map(|gpu| gpu.index).collect::<Vec<_>>();
        assert_eq!(indices(None), [0, 1, 2]);
        assert_eq!(indices(Some("2, 0")), [2, 0]);
        assert_eq!(indices(Some("GPU-1,0")), [1, 0]);
        assert_eq!(indices(Some("0,-1,2")), [0]);
        assert_eq!(indices(Some("")), [0; 0]);
    }
}
