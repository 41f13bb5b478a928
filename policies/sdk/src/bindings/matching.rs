// Written by policies/sdk/bind from wit/policy.wit; do not change it by hand.
#[allow(dead_code, clippy::all)]
pub mod exports {
    pub mod layshaft {
        pub mod policy {
            /// Which labels a class of nodes satisfies.
            #[allow(dead_code, async_fn_in_trait, unused_imports, clippy::all)]
            pub mod matching {
                #[used]
                #[doc(hidden)]
                static __FORCE_SECTION_REF: fn() = super::super::super::super::__link_custom_section_describing_imports;
                use super::super::super::super::_rt;
                /// What the expression belongs to.
                #[derive(Clone, Eq, PartialEq)]
                pub struct Project {
                    /// With folders, as in `team/app/build`.
                    pub full_name: _rt::String,
                    /// Its last part.
                    pub short_name: _rt::String,
                }
                impl ::core::fmt::Debug for Project {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        f.debug_struct("Project")
                            .field("full-name", &self.full_name)
                            .field("short-name", &self.short_name)
                            .finish()
                    }
                }
                /// What kind of project it is, as far as the rules differ.
                #[repr(u8)]
                #[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
                pub enum ProjectKind {
                    Freestyle,
                    Maven,
                    /// Its parts run on nodes of their own.
                    Matrix,
                    /// Holds no executor by itself; its steps ask for nodes.
                    Pipeline,
                    /// Some other kind that is built as a freestyle project is.
                    Other,
                }
                impl ::core::fmt::Debug for ProjectKind {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        match self {
                            ProjectKind::Freestyle => {
                                f.debug_tuple("ProjectKind::Freestyle").finish()
                            }
                            ProjectKind::Maven => {
                                f.debug_tuple("ProjectKind::Maven").finish()
                            }
                            ProjectKind::Matrix => {
                                f.debug_tuple("ProjectKind::Matrix").finish()
                            }
                            ProjectKind::Pipeline => {
                                f.debug_tuple("ProjectKind::Pipeline").finish()
                            }
                            ProjectKind::Other => {
                                f.debug_tuple("ProjectKind::Other").finish()
                            }
                        }
                    }
                }
                impl ProjectKind {
                    #[doc(hidden)]
                    pub unsafe fn _lift(val: u8) -> ProjectKind {
                        if !cfg!(debug_assertions) {
                            return unsafe { ::core::mem::transmute(val) };
                        }
                        match val {
                            0 => ProjectKind::Freestyle,
                            1 => ProjectKind::Maven,
                            2 => ProjectKind::Matrix,
                            3 => ProjectKind::Pipeline,
                            4 => ProjectKind::Other,
                            _ => panic!("invalid enum discriminant"),
                        }
                    }
                }
                /// Nodes that look alike to every policy and every expression.
                #[derive(Clone, Eq, PartialEq)]
                pub struct NodeClass {
                    /// The controller's built-in node.
                    pub built_in: bool,
                    /// Takes only projects whose expression names it (mode EXCLUSIVE).
                    pub exclusive: bool,
                    /// Present if `meta.describe` asked for it.
                    pub name: ::core::option::Option<_rt::String>,
                    /// Labels that some expression names or that were asked for, sorted.
                    pub labels: _rt::Vec<_rt::String>,
                }
                impl ::core::fmt::Debug for NodeClass {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        f.debug_struct("NodeClass")
                            .field("built-in", &self.built_in)
                            .field("exclusive", &self.exclusive)
                            .field("name", &self.name)
                            .field("labels", &self.labels)
                            .finish()
                    }
                }
                /// A label expression and a class of nodes.
                #[derive(Clone, Eq, PartialEq)]
                pub struct Question {
                    /// The controller's name in the configuration.
                    pub controller: _rt::String,
                    /// Present if `meta.describe` asked for it.
                    pub project: ::core::option::Option<Project>,
                    pub kind: ProjectKind,
                    /// The project's label expression in Jenkins' notation; none means any node that is not exclusive.
                    pub expression: ::core::option::Option<_rt::String>,
                    /// The atoms that the expression names, sorted.
                    pub atoms: _rt::Vec<_rt::String>,
                    pub node: NodeClass,
                    /// What Jenkins itself would say.
                    pub classic: bool,
                }
                impl ::core::fmt::Debug for Question {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        f.debug_struct("Question")
                            .field("controller", &self.controller)
                            .field("project", &self.project)
                            .field("kind", &self.kind)
                            .field("expression", &self.expression)
                            .field("atoms", &self.atoms)
                            .field("node", &self.node)
                            .field("classic", &self.classic)
                            .finish()
                    }
                }
                /// Whether the nodes fit.
                #[derive(Clone, Eq, PartialEq)]
                pub enum Answer {
                    /// Leaves it to the others, and at last to Jenkins' own rule.
                    Abstain,
                    /// This project must not run there. Any veto wins.
                    Veto,
                    /// Further atoms of this expression that the node satisfies. Layshaft evaluates the expression over them and
                    /// the node's labels. To turn no match into a match needs the grant `widen`.
                    Satisfies(_rt::Vec<_rt::String>),
                }
                impl ::core::fmt::Debug for Answer {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        match self {
                            Answer::Abstain => f.debug_tuple("Answer::Abstain").finish(),
                            Answer::Veto => f.debug_tuple("Answer::Veto").finish(),
                            Answer::Satisfies(e) => {
                                f.debug_tuple("Answer::Satisfies").field(e).finish()
                            }
                        }
                    }
                }
                /// The answer, and why.
                #[derive(Clone, Eq, PartialEq)]
                pub struct Verdict {
                    pub answer: Answer,
                    /// Why, in one line for people; at most 500 characters are shown. Never holds a parameter's value.
                    pub reason: _rt::String,
                    /// How it came to that, for `explain`; at most 64 lines are kept.
                    pub trace: _rt::Vec<_rt::String>,
                }
                impl ::core::fmt::Debug for Verdict {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        f.debug_struct("Verdict")
                            .field("answer", &self.answer)
                            .field("reason", &self.reason)
                            .field("trace", &self.trace)
                            .finish()
                    }
                }
                #[doc(hidden)]
                #[allow(non_snake_case, unused_unsafe)]
                pub unsafe fn _export_matches_cabi<T_: Guest>(arg0: *mut u8) -> *mut u8 {
                    unsafe {
                        #[cfg(target_arch = "wasm32")] _rt::run_ctors_once();
                        let result34 = {
                            let l0 = *arg0.add(0).cast::<*mut u8>();
                            let l1 = *arg0
                                .add(::core::mem::size_of::<*const u8>())
                                .cast::<usize>();
                            let len2 = l1;
                            let bytes2 = _rt::Vec::from_raw_parts(l0.cast(), len2, len2);
                            let l3 = i32::from(
                                *arg0
                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            let l10 = i32::from(
                                *arg0
                                    .add(7 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            let l11 = i32::from(
                                *arg0
                                    .add(8 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            let l15 = *arg0
                                .add(11 * ::core::mem::size_of::<*const u8>())
                                .cast::<*mut u8>();
                            let l16 = *arg0
                                .add(12 * ::core::mem::size_of::<*const u8>())
                                .cast::<usize>();
                            let base20 = l15;
                            let len20 = l16;
                            let mut result20 = _rt::Vec::with_capacity(len20);
                            for i in 0..len20 {
                                let base = base20
                                    .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                                let e20 = {
                                    let l17 = *base.add(0).cast::<*mut u8>();
                                    let l18 = *base
                                        .add(::core::mem::size_of::<*const u8>())
                                        .cast::<usize>();
                                    let len19 = l18;
                                    let bytes19 = _rt::Vec::from_raw_parts(
                                        l17.cast(),
                                        len19,
                                        len19,
                                    );
                                    _rt::string_lift(bytes19)
                                };
                                result20.push(e20);
                            }
                            _rt::cabi_dealloc(
                                base20,
                                len20 * (2 * ::core::mem::size_of::<*const u8>()),
                                ::core::mem::size_of::<*const u8>(),
                            );
                            let l21 = i32::from(
                                *arg0
                                    .add(13 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            let l22 = i32::from(
                                *arg0
                                    .add(1 + 13 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            let l23 = i32::from(
                                *arg0
                                    .add(14 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            let l27 = *arg0
                                .add(17 * ::core::mem::size_of::<*const u8>())
                                .cast::<*mut u8>();
                            let l28 = *arg0
                                .add(18 * ::core::mem::size_of::<*const u8>())
                                .cast::<usize>();
                            let base32 = l27;
                            let len32 = l28;
                            let mut result32 = _rt::Vec::with_capacity(len32);
                            for i in 0..len32 {
                                let base = base32
                                    .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                                let e32 = {
                                    let l29 = *base.add(0).cast::<*mut u8>();
                                    let l30 = *base
                                        .add(::core::mem::size_of::<*const u8>())
                                        .cast::<usize>();
                                    let len31 = l30;
                                    let bytes31 = _rt::Vec::from_raw_parts(
                                        l29.cast(),
                                        len31,
                                        len31,
                                    );
                                    _rt::string_lift(bytes31)
                                };
                                result32.push(e32);
                            }
                            _rt::cabi_dealloc(
                                base32,
                                len32 * (2 * ::core::mem::size_of::<*const u8>()),
                                ::core::mem::size_of::<*const u8>(),
                            );
                            let l33 = i32::from(
                                *arg0
                                    .add(19 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            T_::matches(Question {
                                controller: _rt::string_lift(bytes2),
                                project: match l3 {
                                    0 => None,
                                    1 => {
                                        let e = {
                                            let l4 = *arg0
                                                .add(3 * ::core::mem::size_of::<*const u8>())
                                                .cast::<*mut u8>();
                                            let l5 = *arg0
                                                .add(4 * ::core::mem::size_of::<*const u8>())
                                                .cast::<usize>();
                                            let len6 = l5;
                                            let bytes6 = _rt::Vec::from_raw_parts(
                                                l4.cast(),
                                                len6,
                                                len6,
                                            );
                                            let l7 = *arg0
                                                .add(5 * ::core::mem::size_of::<*const u8>())
                                                .cast::<*mut u8>();
                                            let l8 = *arg0
                                                .add(6 * ::core::mem::size_of::<*const u8>())
                                                .cast::<usize>();
                                            let len9 = l8;
                                            let bytes9 = _rt::Vec::from_raw_parts(
                                                l7.cast(),
                                                len9,
                                                len9,
                                            );
                                            Project {
                                                full_name: _rt::string_lift(bytes6),
                                                short_name: _rt::string_lift(bytes9),
                                            }
                                        };
                                        Some(e)
                                    }
                                    _ => _rt::invalid_enum_discriminant(),
                                },
                                kind: ProjectKind::_lift(l10 as u8),
                                expression: match l11 {
                                    0 => None,
                                    1 => {
                                        let e = {
                                            let l12 = *arg0
                                                .add(9 * ::core::mem::size_of::<*const u8>())
                                                .cast::<*mut u8>();
                                            let l13 = *arg0
                                                .add(10 * ::core::mem::size_of::<*const u8>())
                                                .cast::<usize>();
                                            let len14 = l13;
                                            let bytes14 = _rt::Vec::from_raw_parts(
                                                l12.cast(),
                                                len14,
                                                len14,
                                            );
                                            _rt::string_lift(bytes14)
                                        };
                                        Some(e)
                                    }
                                    _ => _rt::invalid_enum_discriminant(),
                                },
                                atoms: result20,
                                node: NodeClass {
                                    built_in: _rt::bool_lift(l21 as u8),
                                    exclusive: _rt::bool_lift(l22 as u8),
                                    name: match l23 {
                                        0 => None,
                                        1 => {
                                            let e = {
                                                let l24 = *arg0
                                                    .add(15 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<*mut u8>();
                                                let l25 = *arg0
                                                    .add(16 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<usize>();
                                                let len26 = l25;
                                                let bytes26 = _rt::Vec::from_raw_parts(
                                                    l24.cast(),
                                                    len26,
                                                    len26,
                                                );
                                                _rt::string_lift(bytes26)
                                            };
                                            Some(e)
                                        }
                                        _ => _rt::invalid_enum_discriminant(),
                                    },
                                    labels: result32,
                                },
                                classic: _rt::bool_lift(l33 as u8),
                            })
                        };
                        _rt::cabi_dealloc(
                            arg0,
                            20 * ::core::mem::size_of::<*const u8>(),
                            ::core::mem::size_of::<*const u8>(),
                        );
                        let ptr35 = (&raw mut _RET_AREA.0).cast::<u8>();
                        let Verdict {
                            answer: answer36,
                            reason: reason36,
                            trace: trace36,
                        } = result34;
                        match answer36 {
                            Answer::Abstain => {
                                *ptr35.add(0).cast::<u8>() = (0i32) as u8;
                            }
                            Answer::Veto => {
                                *ptr35.add(0).cast::<u8>() = (1i32) as u8;
                            }
                            Answer::Satisfies(e) => {
                                *ptr35.add(0).cast::<u8>() = (2i32) as u8;
                                let vec38 = e;
                                let len38 = vec38.len();
                                let layout38 = _rt::alloc::Layout::from_size_align(
                                        vec38.len() * (2 * ::core::mem::size_of::<*const u8>()),
                                        ::core::mem::size_of::<*const u8>(),
                                    )
                                    .unwrap();
                                let (result38, _cleanup38) = wit_bindgen::rt::Cleanup::new(
                                    layout38,
                                );
                                if let Some(cleanup) = _cleanup38 {
                                    cleanup.forget();
                                }
                                for (i, e) in vec38.into_iter().enumerate() {
                                    let base = result38
                                        .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                                    {
                                        let vec37 = (e.into_bytes()).into_boxed_slice();
                                        let ptr37 = vec37.as_ptr().cast::<u8>();
                                        let len37 = vec37.len();
                                        ::core::mem::forget(vec37);
                                        *base
                                            .add(::core::mem::size_of::<*const u8>())
                                            .cast::<usize>() = len37;
                                        *base.add(0).cast::<*mut u8>() = ptr37.cast_mut();
                                    }
                                }
                                *ptr35
                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                    .cast::<usize>() = len38;
                                *ptr35
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<*mut u8>() = result38;
                            }
                        }
                        let vec39 = (reason36.into_bytes()).into_boxed_slice();
                        let ptr39 = vec39.as_ptr().cast::<u8>();
                        let len39 = vec39.len();
                        ::core::mem::forget(vec39);
                        *ptr35
                            .add(4 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>() = len39;
                        *ptr35
                            .add(3 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>() = ptr39.cast_mut();
                        let vec41 = trace36;
                        let len41 = vec41.len();
                        let layout41 = _rt::alloc::Layout::from_size_align(
                                vec41.len() * (2 * ::core::mem::size_of::<*const u8>()),
                                ::core::mem::size_of::<*const u8>(),
                            )
                            .unwrap();
                        let (result41, _cleanup41) = wit_bindgen::rt::Cleanup::new(
                            layout41,
                        );
                        if let Some(cleanup) = _cleanup41 {
                            cleanup.forget();
                        }
                        for (i, e) in vec41.into_iter().enumerate() {
                            let base = result41
                                .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                            {
                                let vec40 = (e.into_bytes()).into_boxed_slice();
                                let ptr40 = vec40.as_ptr().cast::<u8>();
                                let len40 = vec40.len();
                                ::core::mem::forget(vec40);
                                *base
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<usize>() = len40;
                                *base.add(0).cast::<*mut u8>() = ptr40.cast_mut();
                            }
                        }
                        *ptr35
                            .add(6 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>() = len41;
                        *ptr35
                            .add(5 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>() = result41;
                        ptr35
                    }
                }
                #[doc(hidden)]
                #[allow(non_snake_case)]
                pub unsafe fn __post_return_matches<T_: Guest>(arg0: *mut u8) {
                    unsafe {
                        let l0 = i32::from(*arg0.add(0).cast::<u8>());
                        match l0 {
                            0 => {}
                            1 => {}
                            _ => {
                                let l1 = *arg0
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<*mut u8>();
                                let l2 = *arg0
                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                    .cast::<usize>();
                                let base5 = l1;
                                let len5 = l2;
                                for i in 0..len5 {
                                    let base = base5
                                        .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                                    {
                                        let l3 = *base.add(0).cast::<*mut u8>();
                                        let l4 = *base
                                            .add(::core::mem::size_of::<*const u8>())
                                            .cast::<usize>();
                                        _rt::cabi_dealloc(l3, l4, 1);
                                    }
                                }
                                _rt::cabi_dealloc(
                                    base5,
                                    len5 * (2 * ::core::mem::size_of::<*const u8>()),
                                    ::core::mem::size_of::<*const u8>(),
                                );
                            }
                        }
                        let l6 = *arg0
                            .add(3 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>();
                        let l7 = *arg0
                            .add(4 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>();
                        _rt::cabi_dealloc(l6, l7, 1);
                        let l8 = *arg0
                            .add(5 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>();
                        let l9 = *arg0
                            .add(6 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>();
                        let base12 = l8;
                        let len12 = l9;
                        for i in 0..len12 {
                            let base = base12
                                .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                            {
                                let l10 = *base.add(0).cast::<*mut u8>();
                                let l11 = *base
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<usize>();
                                _rt::cabi_dealloc(l10, l11, 1);
                            }
                        }
                        _rt::cabi_dealloc(
                            base12,
                            len12 * (2 * ::core::mem::size_of::<*const u8>()),
                            ::core::mem::size_of::<*const u8>(),
                        );
                    }
                }
                pub trait Guest {
                    /// Asked once for each expression and class of nodes; for each project too, if `meta.describe` asked for it.
                    #[allow(async_fn_in_trait)]
                    fn matches(question: Question) -> Verdict;
                }
                #[doc(hidden)]
                #[macro_export]
                macro_rules! __export_layshaft_policy_matching_0_1_0_cabi {
                    ($ty:ident with_types_in $($path_to_types:tt)*) => {
                        const _ : () = { #[unsafe (export_name =
                        "layshaft:policy/matching@0.1.0#matches")] unsafe extern "C" fn
                        export_matches(arg0 : * mut u8,) -> * mut u8 { unsafe {
                        $($path_to_types)*:: _export_matches_cabi::<$ty > (arg0) } }
                        #[unsafe (export_name =
                        "cabi_post_layshaft:policy/matching@0.1.0#matches")] unsafe
                        extern "C" fn _post_return_matches(arg0 : * mut u8,) { unsafe {
                        $($path_to_types)*:: __post_return_matches::<$ty > (arg0) } } };
                    };
                }
                #[doc(hidden)]
                pub use __export_layshaft_policy_matching_0_1_0_cabi;
                #[cfg_attr(target_pointer_width = "64", repr(align(8)))]
                #[cfg_attr(target_pointer_width = "32", repr(align(4)))]
                struct _RetArea(
                    [::core::mem::MaybeUninit<
                        u8,
                    >; 7 * ::core::mem::size_of::<*const u8>()],
                );
                static mut _RET_AREA: _RetArea = _RetArea(
                    [::core::mem::MaybeUninit::uninit(); 7
                        * ::core::mem::size_of::<*const u8>()],
                );
            }
        }
    }
}
mod _rt {
    #![allow(dead_code, unused_imports, clippy::all)]
    pub use alloc_crate::string::String;
    pub use alloc_crate::vec::Vec;
    #[cfg(target_arch = "wasm32")]
    pub fn run_ctors_once() {
        wit_bindgen::rt::run_ctors_once();
    }
    pub unsafe fn string_lift(bytes: Vec<u8>) -> String {
        if cfg!(debug_assertions) {
            String::from_utf8(bytes).unwrap()
        } else {
            unsafe { String::from_utf8_unchecked(bytes) }
        }
    }
    pub unsafe fn invalid_enum_discriminant<T>() -> T {
        if cfg!(debug_assertions) {
            panic!("invalid enum discriminant")
        } else {
            unsafe { core::hint::unreachable_unchecked() }
        }
    }
    pub unsafe fn cabi_dealloc(ptr: *mut u8, size: usize, align: usize) {
        if size == 0 {
            return;
        }
        unsafe {
            let layout = alloc::Layout::from_size_align_unchecked(size, align);
            alloc::dealloc(ptr, layout);
        }
    }
    pub unsafe fn bool_lift(val: u8) -> bool {
        if cfg!(debug_assertions) {
            match val {
                0 => false,
                1 => true,
                _ => panic!("invalid bool discriminant"),
            }
        } else {
            val != 0
        }
    }
    pub use alloc_crate::alloc;
    extern crate alloc as alloc_crate;
}
/// Generates `#[unsafe(no_mangle)]` functions to export the specified type as
/// the root implementation of all generated traits.
///
/// For more information see the documentation of `wit_bindgen::generate!`.
///
/// ```rust
/// # macro_rules! export_matching{ ($($t:tt)*) => (); }
/// # trait Guest {}
/// struct MyType;
///
/// impl Guest for MyType {
///     // ...
/// }
///
/// export_matching!(MyType);
/// ```
#[allow(unused_macros)]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_matching_impl {
    ($ty:ident) => {
        $crate::bindings::matching::export_matching!($ty with_types_in
        $crate::bindings::matching);
    };
    ($ty:ident with_types_in $($path_to_types_root:tt)*) => {
        $($path_to_types_root)*::
        exports::layshaft::policy::matching::__export_layshaft_policy_matching_0_1_0_cabi!($ty
        with_types_in $($path_to_types_root)*:: exports::layshaft::policy::matching);
        const _ : () = { #[cfg(target_arch = "wasm32")] #[unsafe (link_section =
        "component-type:wit-bindgen:0.61.1:layshaft:sdk:matching:imports and exports")]
        #[doc(hidden)] #[allow(clippy::octal_escapes)] pub static
        __WIT_BINDGEN_COMPONENT_TYPE : [u8; 547] = *
        b"\
\0asm\x0d\0\x01\0\0\x19\x16wit-component-encoding\x04\0\x07\xa4\x03\x01A\x02\x01\
A\x02\x01B\x11\x01r\x02\x09full-names\x0ashort-names\x04\0\x07project\x03\0\0\x01\
m\x05\x09freestyle\x05maven\x06matrix\x08pipeline\x05other\x04\0\x0cproject-kind\
\x03\0\x02\x01ks\x01ps\x01r\x04\x08built-in\x7f\x09exclusive\x7f\x04name\x04\x06\
labels\x05\x04\0\x0anode-class\x03\0\x06\x01k\x01\x01r\x07\x0acontrollers\x07pro\
ject\x08\x04kind\x03\x0aexpression\x04\x05atoms\x05\x04node\x07\x07classic\x7f\x04\
\0\x08question\x03\0\x09\x01q\x03\x07abstain\0\0\x04veto\0\0\x09satisfies\x01\x05\
\0\x04\0\x06answer\x03\0\x0b\x01r\x03\x06answer\x0c\x06reasons\x05trace\x05\x04\0\
\x07verdict\x03\0\x0d\x01@\x01\x08question\x0a\0\x0e\x04\0\x07matches\x01\x0f\x04\
\0\x1elayshaft:policy/matching@0.1.0\x05\0\x04\0\x15layshaft:sdk/matching\x04\0\x0b\
\x0e\x01\0\x08matching\x03\0\0\0G\x09producers\x01\x0cprocessed-by\x02\x0dwit-co\
mponent\x070.258.3\x10wit-bindgen-rust\x060.61.1";
        };
    };
}
#[doc(inline)]
pub use __export_matching_impl as export_matching;
#[cfg(target_arch = "wasm32")]
#[unsafe(
    link_section = "component-type:wit-bindgen:0.61.1:layshaft:sdk:matching-with-all-of-its-exports-removed:encoded world"
)]
#[doc(hidden)]
#[allow(clippy::octal_escapes)]
pub static __WIT_BINDGEN_COMPONENT_TYPE: [u8; 222] = *b"\
\0asm\x0d\0\x01\0\0\x19\x16wit-component-encoding\x04\0\x07@\x01A\x02\x01A\0\x04\
\05layshaft:sdk/matching-with-all-of-its-exports-removed\x04\0\x0b.\x01\0(matchi\
ng-with-all-of-its-exports-removed\x03\0\0\0G\x09producers\x01\x0cprocessed-by\x02\
\x0dwit-component\x070.258.3\x10wit-bindgen-rust\x060.61.1";
#[inline(never)]
#[doc(hidden)]
pub fn __link_custom_section_describing_imports() {
    wit_bindgen::rt::maybe_link_cabi_realloc();
}
