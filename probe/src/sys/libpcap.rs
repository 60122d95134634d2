//! The compiler of filter expressions in libpcap of the system, which is loaded when needed.

use std::ffi::{CStr, c_char, c_int, c_uint};
use std::ptr;
use std::slice;

use flow::FilterInstruction;
use libloading::{Library, Symbol};

/// Names of the library: on Debian and its derivatives, on others, and with the headers installed.
const NAMES: [&str; 3] = ["libpcap.so.0.8", "libpcap.so.1", "libpcap.so"];

/// `PCAP_NETMASK_UNKNOWN`: with it, `ip broadcast` is an error.
const NETMASK_UNKNOWN: u32 = u32::MAX;

/// Maximum length of a frame.
const SNAP_LENGTH: c_int = 262_144;

/// `struct bpf_program`
#[repr(C)]
struct Program {
    length: c_uint,
    instructions: *mut FilterInstruction,
}

/// `pcap_t`
#[repr(C)]
struct Handle {
    _opaque: [u8; 0],
}

type OpenDead = unsafe extern "C" fn(c_int, c_int) -> *mut Handle;
type Compile = unsafe extern "C" fn(*mut Handle, *mut Program, *const c_char, c_int, u32) -> c_int;
type LastError = unsafe extern "C" fn(*mut Handle) -> *const c_char;
type FreeProgram = unsafe extern "C" fn(*mut Program);
type Close = unsafe extern "C" fn(*mut Handle);

/// The loaded library.
#[derive(Debug)]
pub(crate) struct Libpcap {
    library: Library,
}

impl Libpcap {
    /// Loads the library.
    ///
    /// # Errors
    ///
    /// It is not installed, or this build cannot load libraries; as text.
    pub(crate) fn load() -> Result<Self, String> {
        let mut problem = String::new();
        for name in NAMES {
            // SAFETY: the initialization of libpcap only sets its own variables.
            match unsafe { Library::new(name) } {
                Ok(library) => return Ok(Self { library }),
                Err(error) => problem = error.to_string(),
            }
        }
        Err(problem)
    }

    /// Compiles an expression for frames of a link type (`DLT_` value).
    ///
    /// # Errors
    ///
    /// The error message of libpcap.
    pub(crate) fn compile(
        &self,
        expression: &CStr,
        link_type: u16,
    ) -> Result<Vec<FilterInstruction>, String> {
        // SAFETY: the types are those of libpcap's headers, unchanged since version 1.0.
        let (open, compile, last_error, free, close) = unsafe {
            (
                self.function::<OpenDead>(c"pcap_open_dead")?,
                self.function::<Compile>(c"pcap_compile")?,
                self.function::<LastError>(c"pcap_geterr")?,
                self.function::<FreeProgram>(c"pcap_freecode")?,
                self.function::<Close>(c"pcap_close")?,
            )
        };
        // SAFETY: any numbers are allowed.
        let handle = unsafe { open(link_type.into(), SNAP_LENGTH) };
        if handle.is_null() {
            return Err("no memory".to_owned());
        }
        let mut program = Program { length: 0, instructions: ptr::null_mut() };
        // SAFETY: the handle is open, the program is written to, and the expression ends with 0.
        let status =
            unsafe { compile(handle, &raw mut program, expression.as_ptr(), 1, NETMASK_UNKNOWN) };
        let compiled = if status == 0 {
            // SAFETY: a compiled program has `length` instructions until it is freed.
            let compiled =
                unsafe { slice::from_raw_parts(program.instructions, program.length as usize) };
            let compiled = compiled.to_vec();
            // SAFETY: the program was compiled and is freed once.
            unsafe { free(&raw mut program) };
            Ok(compiled)
        } else {
            // SAFETY: the handle is open, and its text ends with 0.
            Err(unsafe { CStr::from_ptr(last_error(handle)) }.to_string_lossy().into_owned())
        };
        // SAFETY: the handle is open and not used again.
        unsafe { close(handle) };
        compiled
    }

    /// A function of the library.
    ///
    /// # Safety
    ///
    /// `T` is its type.
    unsafe fn function<T>(&self, name: &CStr) -> Result<Symbol<'_, T>, String> {
        // SAFETY: the caller guarantees the type.
        unsafe { self.library.get(name.to_bytes_with_nul()) }.map_err(|error| error.to_string())
    }
}
