// Written by policies/sdk/bind from wit/policy.wit; do not change it by hand.
#[allow(dead_code, clippy::all)]
pub mod exports {
    pub mod layshaft {
        pub mod policy {
            /// Who the policy is, what it has to see, and its settings.
            #[allow(dead_code, async_fn_in_trait, unused_imports, clippy::all)]
            pub mod meta {
                #[used]
                #[doc(hidden)]
                static __FORCE_SECTION_REF: fn() = super::super::super::super::__link_custom_section_describing_imports;
                use super::super::super::super::_rt;
                /// Which values are shown.
                #[derive(Clone, Eq, PartialEq)]
                pub enum ParameterValues {
                    /// Names only.
                    None,
                    /// The values of these parameters.
                    Named(_rt::Vec<_rt::String>),
                    /// Every value, but for passwords and the site's secret parameters, which no policy ever sees.
                    All,
                }
                impl ::core::fmt::Debug for ParameterValues {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        match self {
                            ParameterValues::None => {
                                f.debug_tuple("ParameterValues::None").finish()
                            }
                            ParameterValues::Named(e) => {
                                f.debug_tuple("ParameterValues::Named").field(e).finish()
                            }
                            ParameterValues::All => {
                                f.debug_tuple("ParameterValues::All").finish()
                            }
                        }
                    }
                }
                /// What a policy asks to see. Ask for little: nodes that differ in nothing asked for are decided once.
                #[derive(Clone, Eq, PartialEq)]
                pub struct Needs {
                    /// The project in questions to `matching`. Without it, matching is asked once per label expression.
                    pub project: bool,
                    /// The node's own name in every question.
                    pub node_name: bool,
                    /// Globs (`gpu-*`) of node labels to be shown although no project's expression names them. Needs the
                    /// grant `labels`.
                    pub labels: _rt::Vec<_rt::String>,
                    /// Which parameter values are shown to `parameters` and `offline`. Needs the grant `values`.
                    pub parameter_values: ParameterValues,
                }
                impl ::core::fmt::Debug for Needs {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        f.debug_struct("Needs")
                            .field("project", &self.project)
                            .field("node-name", &self.node_name)
                            .field("labels", &self.labels)
                            .field("parameter-values", &self.parameter_values)
                            .finish()
                    }
                }
                /// Who the policy is.
                #[derive(Clone, Eq, PartialEq)]
                pub struct Description {
                    /// As people call it, such as `label-hierarchy`.
                    pub name: _rt::String,
                    /// The policy's own version.
                    pub version: _rt::String,
                    /// One sentence.
                    pub summary: _rt::String,
                    /// What of a question it wants to see.
                    pub needs: Needs,
                }
                impl ::core::fmt::Debug for Description {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        f.debug_struct("Description")
                            .field("name", &self.name)
                            .field("version", &self.version)
                            .field("summary", &self.summary)
                            .field("needs", &self.needs)
                            .finish()
                    }
                }
                #[doc(hidden)]
                #[allow(non_snake_case, unused_unsafe)]
                pub unsafe fn _export_describe_cabi<T_: Guest>() -> *mut u8 {
                    unsafe {
                        #[cfg(target_arch = "wasm32")] _rt::run_ctors_once();
                        let result0 = { T_::describe() };
                        let ptr1 = (&raw mut _RET_AREA.0).cast::<u8>();
                        let Description {
                            name: name2,
                            version: version2,
                            summary: summary2,
                            needs: needs2,
                        } = result0;
                        let vec3 = (name2.into_bytes()).into_boxed_slice();
                        let ptr3 = vec3.as_ptr().cast::<u8>();
                        let len3 = vec3.len();
                        ::core::mem::forget(vec3);
                        *ptr1.add(::core::mem::size_of::<*const u8>()).cast::<usize>() = len3;
                        *ptr1.add(0).cast::<*mut u8>() = ptr3.cast_mut();
                        let vec4 = (version2.into_bytes()).into_boxed_slice();
                        let ptr4 = vec4.as_ptr().cast::<u8>();
                        let len4 = vec4.len();
                        ::core::mem::forget(vec4);
                        *ptr1
                            .add(3 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>() = len4;
                        *ptr1
                            .add(2 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>() = ptr4.cast_mut();
                        let vec5 = (summary2.into_bytes()).into_boxed_slice();
                        let ptr5 = vec5.as_ptr().cast::<u8>();
                        let len5 = vec5.len();
                        ::core::mem::forget(vec5);
                        *ptr1
                            .add(5 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>() = len5;
                        *ptr1
                            .add(4 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>() = ptr5.cast_mut();
                        let Needs {
                            project: project6,
                            node_name: node_name6,
                            labels: labels6,
                            parameter_values: parameter_values6,
                        } = needs2;
                        *ptr1
                            .add(6 * ::core::mem::size_of::<*const u8>())
                            .cast::<u8>() = (match project6 {
                            true => 1,
                            false => 0,
                        }) as u8;
                        *ptr1
                            .add(1 + 6 * ::core::mem::size_of::<*const u8>())
                            .cast::<u8>() = (match node_name6 {
                            true => 1,
                            false => 0,
                        }) as u8;
                        let vec8 = labels6;
                        let len8 = vec8.len();
                        let layout8 = _rt::alloc::Layout::from_size_align(
                                vec8.len() * (2 * ::core::mem::size_of::<*const u8>()),
                                ::core::mem::size_of::<*const u8>(),
                            )
                            .unwrap();
                        let (result8, _cleanup8) = wit_bindgen::rt::Cleanup::new(
                            layout8,
                        );
                        if let Some(cleanup) = _cleanup8 {
                            cleanup.forget();
                        }
                        for (i, e) in vec8.into_iter().enumerate() {
                            let base = result8
                                .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                            {
                                let vec7 = (e.into_bytes()).into_boxed_slice();
                                let ptr7 = vec7.as_ptr().cast::<u8>();
                                let len7 = vec7.len();
                                ::core::mem::forget(vec7);
                                *base
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<usize>() = len7;
                                *base.add(0).cast::<*mut u8>() = ptr7.cast_mut();
                            }
                        }
                        *ptr1
                            .add(8 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>() = len8;
                        *ptr1
                            .add(7 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>() = result8;
                        match parameter_values6 {
                            ParameterValues::None => {
                                *ptr1
                                    .add(9 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>() = (0i32) as u8;
                            }
                            ParameterValues::Named(e) => {
                                *ptr1
                                    .add(9 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>() = (1i32) as u8;
                                let vec10 = e;
                                let len10 = vec10.len();
                                let layout10 = _rt::alloc::Layout::from_size_align(
                                        vec10.len() * (2 * ::core::mem::size_of::<*const u8>()),
                                        ::core::mem::size_of::<*const u8>(),
                                    )
                                    .unwrap();
                                let (result10, _cleanup10) = wit_bindgen::rt::Cleanup::new(
                                    layout10,
                                );
                                if let Some(cleanup) = _cleanup10 {
                                    cleanup.forget();
                                }
                                for (i, e) in vec10.into_iter().enumerate() {
                                    let base = result10
                                        .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                                    {
                                        let vec9 = (e.into_bytes()).into_boxed_slice();
                                        let ptr9 = vec9.as_ptr().cast::<u8>();
                                        let len9 = vec9.len();
                                        ::core::mem::forget(vec9);
                                        *base
                                            .add(::core::mem::size_of::<*const u8>())
                                            .cast::<usize>() = len9;
                                        *base.add(0).cast::<*mut u8>() = ptr9.cast_mut();
                                    }
                                }
                                *ptr1
                                    .add(11 * ::core::mem::size_of::<*const u8>())
                                    .cast::<usize>() = len10;
                                *ptr1
                                    .add(10 * ::core::mem::size_of::<*const u8>())
                                    .cast::<*mut u8>() = result10;
                            }
                            ParameterValues::All => {
                                *ptr1
                                    .add(9 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>() = (2i32) as u8;
                            }
                        }
                        ptr1
                    }
                }
                #[doc(hidden)]
                #[allow(non_snake_case)]
                pub unsafe fn __post_return_describe<T_: Guest>(arg0: *mut u8) {
                    unsafe {
                        let l0 = *arg0.add(0).cast::<*mut u8>();
                        let l1 = *arg0
                            .add(::core::mem::size_of::<*const u8>())
                            .cast::<usize>();
                        _rt::cabi_dealloc(l0, l1, 1);
                        let l2 = *arg0
                            .add(2 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>();
                        let l3 = *arg0
                            .add(3 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>();
                        _rt::cabi_dealloc(l2, l3, 1);
                        let l4 = *arg0
                            .add(4 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>();
                        let l5 = *arg0
                            .add(5 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>();
                        _rt::cabi_dealloc(l4, l5, 1);
                        let l6 = *arg0
                            .add(7 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>();
                        let l7 = *arg0
                            .add(8 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>();
                        let base10 = l6;
                        let len10 = l7;
                        for i in 0..len10 {
                            let base = base10
                                .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                            {
                                let l8 = *base.add(0).cast::<*mut u8>();
                                let l9 = *base
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<usize>();
                                _rt::cabi_dealloc(l8, l9, 1);
                            }
                        }
                        _rt::cabi_dealloc(
                            base10,
                            len10 * (2 * ::core::mem::size_of::<*const u8>()),
                            ::core::mem::size_of::<*const u8>(),
                        );
                        let l11 = i32::from(
                            *arg0
                                .add(9 * ::core::mem::size_of::<*const u8>())
                                .cast::<u8>(),
                        );
                        match l11 {
                            0 => {}
                            1 => {
                                let l12 = *arg0
                                    .add(10 * ::core::mem::size_of::<*const u8>())
                                    .cast::<*mut u8>();
                                let l13 = *arg0
                                    .add(11 * ::core::mem::size_of::<*const u8>())
                                    .cast::<usize>();
                                let base16 = l12;
                                let len16 = l13;
                                for i in 0..len16 {
                                    let base = base16
                                        .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                                    {
                                        let l14 = *base.add(0).cast::<*mut u8>();
                                        let l15 = *base
                                            .add(::core::mem::size_of::<*const u8>())
                                            .cast::<usize>();
                                        _rt::cabi_dealloc(l14, l15, 1);
                                    }
                                }
                                _rt::cabi_dealloc(
                                    base16,
                                    len16 * (2 * ::core::mem::size_of::<*const u8>()),
                                    ::core::mem::size_of::<*const u8>(),
                                );
                            }
                            _ => {}
                        }
                    }
                }
                #[doc(hidden)]
                #[allow(non_snake_case, unused_unsafe)]
                pub unsafe fn _export_configure_cabi<T_: Guest>(
                    arg0: *mut u8,
                    arg1: usize,
                ) -> *mut u8 {
                    unsafe {
                        #[cfg(target_arch = "wasm32")] _rt::run_ctors_once();
                        let result1 = {
                            let len0 = arg1;
                            let bytes0 = _rt::Vec::from_raw_parts(
                                arg0.cast(),
                                len0,
                                len0,
                            );
                            T_::configure(_rt::string_lift(bytes0))
                        };
                        let ptr2 = (&raw mut _RET_AREA.0).cast::<u8>();
                        match result1 {
                            Ok(_) => {
                                *ptr2.add(0).cast::<u8>() = (0i32) as u8;
                            }
                            Err(e) => {
                                *ptr2.add(0).cast::<u8>() = (1i32) as u8;
                                let vec3 = (e.into_bytes()).into_boxed_slice();
                                let ptr3 = vec3.as_ptr().cast::<u8>();
                                let len3 = vec3.len();
                                ::core::mem::forget(vec3);
                                *ptr2
                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                    .cast::<usize>() = len3;
                                *ptr2
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<*mut u8>() = ptr3.cast_mut();
                            }
                        };
                        ptr2
                    }
                }
                #[doc(hidden)]
                #[allow(non_snake_case)]
                pub unsafe fn __post_return_configure<T_: Guest>(arg0: *mut u8) {
                    unsafe {
                        let l0 = i32::from(*arg0.add(0).cast::<u8>());
                        match l0 {
                            0 => {}
                            _ => {
                                let l1 = *arg0
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<*mut u8>();
                                let l2 = *arg0
                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                    .cast::<usize>();
                                _rt::cabi_dealloc(l1, l2, 1);
                            }
                        }
                    }
                }
                pub trait Guest {
                    /// Describes the policy. Asked once, when it is loaded.
                    #[allow(async_fn_in_trait)]
                    fn describe() -> Description;
                    /// Takes the slot's settings as a JSON object, `{}` where there are none. Called before any hook on every fresh
                    /// instance. An error refuses the policy and is shown to the operator.
                    #[allow(async_fn_in_trait)]
                    fn configure(
                        settings: _rt::String,
                    ) -> ::core::result::Result<(), _rt::String>;
                }
                #[doc(hidden)]
                #[macro_export]
                macro_rules! __export_layshaft_policy_meta_0_1_0_cabi {
                    ($ty:ident with_types_in $($path_to_types:tt)*) => {
                        const _ : () = { #[unsafe (export_name =
                        "layshaft:policy/meta@0.1.0#describe")] unsafe extern "C" fn
                        export_describe() -> * mut u8 { unsafe { $($path_to_types)*::
                        _export_describe_cabi::<$ty > () } } #[unsafe (export_name =
                        "cabi_post_layshaft:policy/meta@0.1.0#describe")] unsafe extern
                        "C" fn _post_return_describe(arg0 : * mut u8,) { unsafe {
                        $($path_to_types)*:: __post_return_describe::<$ty > (arg0) } }
                        #[unsafe (export_name = "layshaft:policy/meta@0.1.0#configure")]
                        unsafe extern "C" fn export_configure(arg0 : * mut u8, arg1 :
                        usize,) -> * mut u8 { unsafe { $($path_to_types)*::
                        _export_configure_cabi::<$ty > (arg0, arg1) } } #[unsafe
                        (export_name = "cabi_post_layshaft:policy/meta@0.1.0#configure")]
                        unsafe extern "C" fn _post_return_configure(arg0 : * mut u8,) {
                        unsafe { $($path_to_types)*:: __post_return_configure::<$ty >
                        (arg0) } } };
                    };
                }
                #[doc(hidden)]
                pub use __export_layshaft_policy_meta_0_1_0_cabi;
                #[cfg_attr(target_pointer_width = "64", repr(align(8)))]
                #[cfg_attr(target_pointer_width = "32", repr(align(4)))]
                struct _RetArea(
                    [::core::mem::MaybeUninit<
                        u8,
                    >; 12 * ::core::mem::size_of::<*const u8>()],
                );
                static mut _RET_AREA: _RetArea = _RetArea(
                    [::core::mem::MaybeUninit::uninit(); 12
                        * ::core::mem::size_of::<*const u8>()],
                );
            }
        }
    }
}
mod _rt {
    #![allow(dead_code, unused_imports, clippy::all)]
    pub use alloc_crate::vec::Vec;
    pub use alloc_crate::string::String;
    #[cfg(target_arch = "wasm32")]
    pub fn run_ctors_once() {
        wit_bindgen::rt::run_ctors_once();
    }
    pub use alloc_crate::alloc;
    pub unsafe fn cabi_dealloc(ptr: *mut u8, size: usize, align: usize) {
        if size == 0 {
            return;
        }
        unsafe {
            let layout = alloc::Layout::from_size_align_unchecked(size, align);
            alloc::dealloc(ptr, layout);
        }
    }
    pub unsafe fn string_lift(bytes: Vec<u8>) -> String {
        if cfg!(debug_assertions) {
            String::from_utf8(bytes).unwrap()
        } else {
            unsafe { String::from_utf8_unchecked(bytes) }
        }
    }
    extern crate alloc as alloc_crate;
}
/// Generates `#[unsafe(no_mangle)]` functions to export the specified type as
/// the root implementation of all generated traits.
///
/// For more information see the documentation of `wit_bindgen::generate!`.
///
/// ```rust
/// # macro_rules! export_meta{ ($($t:tt)*) => (); }
/// # trait Guest {}
/// struct MyType;
///
/// impl Guest for MyType {
///     // ...
/// }
///
/// export_meta!(MyType);
/// ```
#[allow(unused_macros)]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_meta_impl {
    ($ty:ident) => {
        $crate::bindings::meta::export_meta!($ty with_types_in $crate::bindings::meta);
    };
    ($ty:ident with_types_in $($path_to_types_root:tt)*) => {
        $($path_to_types_root)*::
        exports::layshaft::policy::meta::__export_layshaft_policy_meta_0_1_0_cabi!($ty
        with_types_in $($path_to_types_root)*:: exports::layshaft::policy::meta); const _
        : () = { #[cfg(target_arch = "wasm32")] #[unsafe (link_section =
        "component-type:wit-bindgen:0.61.1:layshaft:sdk:meta:imports and exports")]
        #[doc(hidden)] #[allow(clippy::octal_escapes)] pub static
        __WIT_BINDGEN_COMPONENT_TYPE : [u8; 398] = *
        b"\
\0asm\x0d\0\x01\0\0\x19\x16wit-component-encoding\x04\0\x07\x93\x02\x01A\x02\x01\
A\x02\x01B\x0c\x01ps\x01q\x03\x04none\0\0\x05named\x01\0\0\x03all\0\0\x04\0\x10p\
arameter-values\x03\0\x01\x01r\x04\x07project\x7f\x09node-name\x7f\x06labels\0\x10\
parameter-values\x02\x04\0\x05needs\x03\0\x03\x01r\x04\x04names\x07versions\x07s\
ummarys\x05needs\x04\x04\0\x0bdescription\x03\0\x05\x01@\0\0\x06\x04\0\x08descri\
be\x01\x07\x01j\0\x01s\x01@\x01\x08settingss\0\x08\x04\0\x09configure\x01\x09\x04\
\0\x1alayshaft:policy/meta@0.1.0\x05\0\x04\0\x11layshaft:sdk/meta\x04\0\x0b\x0a\x01\
\0\x04meta\x03\0\0\0G\x09producers\x01\x0cprocessed-by\x02\x0dwit-component\x070\
.258.3\x10wit-bindgen-rust\x060.61.1";
        };
    };
}
#[doc(inline)]
pub use __export_meta_impl as export_meta;
#[cfg(target_arch = "wasm32")]
#[unsafe(
    link_section = "component-type:wit-bindgen:0.61.1:layshaft:sdk:meta-with-all-of-its-exports-removed:encoded world"
)]
#[doc(hidden)]
#[allow(clippy::octal_escapes)]
pub static __WIT_BINDGEN_COMPONENT_TYPE: [u8; 214] = *b"\
\0asm\x0d\0\x01\0\0\x19\x16wit-component-encoding\x04\0\x07<\x01A\x02\x01A\0\x04\
\01layshaft:sdk/meta-with-all-of-its-exports-removed\x04\0\x0b*\x01\0$meta-with-\
all-of-its-exports-removed\x03\0\0\0G\x09producers\x01\x0cprocessed-by\x02\x0dwi\
t-component\x070.258.3\x10wit-bindgen-rust\x060.61.1";
#[inline(never)]
#[doc(hidden)]
pub fn __link_custom_section_describing_imports() {
    wit_bindgen::rt::maybe_link_cabi_realloc();
}
