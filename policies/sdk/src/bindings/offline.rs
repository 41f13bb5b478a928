// Written by policies/sdk/bind from wit/policy.wit; do not change it by hand.
#[allow(dead_code, clippy::all)]
pub mod exports {
    pub mod layshaft {
        pub mod policy {
            /// Whether a node goes offline, at the two moments that matter.
            #[allow(dead_code, async_fn_in_trait, unused_imports, clippy::all)]
            pub mod offline {
                #[used]
                #[doc(hidden)]
                static __FORCE_SECTION_REF: fn() = super::super::super::super::__link_custom_section_describing_imports;
                use super::super::super::super::_rt;
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
                /// What is to be built.
                #[derive(Clone, Eq, PartialEq)]
                pub struct Project {
                    /// With folders, as in `team/app/build`.
                    pub full_name: _rt::String,
                    /// Its last part.
                    pub short_name: _rt::String,
                    pub kind: ProjectKind,
                }
                impl ::core::fmt::Debug for Project {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        f.debug_struct("Project")
                            .field("full-name", &self.full_name)
                            .field("short-name", &self.short_name)
                            .field("kind", &self.kind)
                            .finish()
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
                /// A parameter that the client sent.
                #[derive(Clone, Eq, PartialEq)]
                pub struct Requested {
                    /// Its name; letter case counts.
                    pub name: _rt::String,
                    /// Present if asked for, granted and not secret.
                    pub value: ::core::option::Option<_rt::String>,
                }
                impl ::core::fmt::Debug for Requested {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        f.debug_struct("Requested")
                            .field("name", &self.name)
                            .field("value", &self.value)
                            .finish()
                    }
                }
                /// A job that became a build.
                #[derive(Clone, Eq, PartialEq)]
                pub struct Request {
                    /// The controller's name in the configuration.
                    pub controller: _rt::String,
                    pub project: Project,
                    /// The function's name as the client called it, such as `build:lint:ubuntu`.
                    pub function: _rt::String,
                    /// The label part of it.
                    pub label: ::core::option::Option<_rt::String>,
                    /// Where the build really runs.
                    pub node: NodeClass,
                    /// What the client sent.
                    pub requested: _rt::Vec<Requested>,
                    /// The client asked for it with OFFLINE_NODE_WHEN_COMPLETE.
                    pub client_asks_offline: bool,
                }
                impl ::core::fmt::Debug for Request {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        f.debug_struct("Request")
                            .field("controller", &self.controller)
                            .field("project", &self.project)
                            .field("function", &self.function)
                            .field("label", &self.label)
                            .field("node", &self.node)
                            .field("requested", &self.requested)
                            .field("client-asks-offline", &self.client_asks_offline)
                            .finish()
                    }
                }
                /// What becomes of the node as the build starts.
                #[repr(u8)]
                #[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
                pub enum StartAnswer {
                    /// Leaves it to the others, and at last to what the client asked for.
                    Abstain,
                    /// Others may start builds there meanwhile. Against the client's wish this needs the grant `veto`.
                    Share,
                    /// Marks the node offline now, so that nothing else starts there. Any reserve wins.
                    Reserve,
                }
                impl ::core::fmt::Debug for StartAnswer {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        match self {
                            StartAnswer::Abstain => {
                                f.debug_tuple("StartAnswer::Abstain").finish()
                            }
                            StartAnswer::Share => {
                                f.debug_tuple("StartAnswer::Share").finish()
                            }
                            StartAnswer::Reserve => {
                                f.debug_tuple("StartAnswer::Reserve").finish()
                            }
                        }
                    }
                }
                impl StartAnswer {
                    #[doc(hidden)]
                    pub unsafe fn _lift(val: u8) -> StartAnswer {
                        if !cfg!(debug_assertions) {
                            return unsafe { ::core::mem::transmute(val) };
                        }
                        match val {
                            0 => StartAnswer::Abstain,
                            1 => StartAnswer::Share,
                            2 => StartAnswer::Reserve,
                            _ => panic!("invalid enum discriminant"),
                        }
                    }
                }
                /// The answer, and why.
                #[derive(Clone, Eq, PartialEq)]
                pub struct StartVerdict {
                    pub answer: StartAnswer,
                    /// Why, in one line for people; at most 500 characters are shown. Never holds a parameter's value.
                    pub reason: _rt::String,
                    /// How it came to that, for `explain`; at most 64 lines are kept.
                    pub trace: _rt::Vec<_rt::String>,
                }
                impl ::core::fmt::Debug for StartVerdict {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        f.debug_struct("StartVerdict")
                            .field("answer", &self.answer)
                            .field("reason", &self.reason)
                            .field("trace", &self.trace)
                            .finish()
                    }
                }
                /// What Jenkins says of the build.
                #[repr(u8)]
                #[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
                pub enum BuildResult {
                    Success,
                    Unstable,
                    Failure,
                    NotBuilt,
                    Aborted,
                    /// The controller does not say.
                    Unknown,
                }
                impl ::core::fmt::Debug for BuildResult {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        match self {
                            BuildResult::Success => {
                                f.debug_tuple("BuildResult::Success").finish()
                            }
                            BuildResult::Unstable => {
                                f.debug_tuple("BuildResult::Unstable").finish()
                            }
                            BuildResult::Failure => {
                                f.debug_tuple("BuildResult::Failure").finish()
                            }
                            BuildResult::NotBuilt => {
                                f.debug_tuple("BuildResult::NotBuilt").finish()
                            }
                            BuildResult::Aborted => {
                                f.debug_tuple("BuildResult::Aborted").finish()
                            }
                            BuildResult::Unknown => {
                                f.debug_tuple("BuildResult::Unknown").finish()
                            }
                        }
                    }
                }
                impl BuildResult {
                    #[doc(hidden)]
                    pub unsafe fn _lift(val: u8) -> BuildResult {
                        if !cfg!(debug_assertions) {
                            return unsafe { ::core::mem::transmute(val) };
                        }
                        match val {
                            0 => BuildResult::Success,
                            1 => BuildResult::Unstable,
                            2 => BuildResult::Failure,
                            3 => BuildResult::NotBuilt,
                            4 => BuildResult::Aborted,
                            5 => BuildResult::Unknown,
                            _ => panic!("invalid enum discriminant"),
                        }
                    }
                }
                /// How the build ended.
                #[repr(C)]
                #[derive(Clone, Copy, Eq, PartialEq)]
                pub struct Outcome {
                    pub build_result: BuildResult,
                    /// How long it ran, in milliseconds.
                    pub duration_ms: u64,
                }
                impl ::core::fmt::Debug for Outcome {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        f.debug_struct("Outcome")
                            .field("build-result", &self.build_result)
                            .field("duration-ms", &self.duration_ms)
                            .finish()
                    }
                }
                /// What becomes of the node as the build ends.
                #[derive(Clone, Eq, PartialEq)]
                pub enum EndAnswer {
                    /// Leaves it to the others, and at last to what the client asked for.
                    Abstain,
                    /// Stays, or comes back, online. Against the client's wish this needs the grant `veto`.
                    Online,
                    /// Goes offline with this message.
                    Offline(_rt::String),
                    /// Goes offline with this message and is kept for a person to look at.
                    Held(_rt::String),
                }
                impl ::core::fmt::Debug for EndAnswer {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        match self {
                            EndAnswer::Abstain => {
                                f.debug_tuple("EndAnswer::Abstain").finish()
                            }
                            EndAnswer::Online => {
                                f.debug_tuple("EndAnswer::Online").finish()
                            }
                            EndAnswer::Offline(e) => {
                                f.debug_tuple("EndAnswer::Offline").field(e).finish()
                            }
                            EndAnswer::Held(e) => {
                                f.debug_tuple("EndAnswer::Held").field(e).finish()
                            }
                        }
                    }
                }
                /// The answer, and why.
                #[derive(Clone, Eq, PartialEq)]
                pub struct EndVerdict {
                    pub answer: EndAnswer,
                    /// Why, in one line for people; at most 500 characters are shown. Never holds a parameter's value.
                    pub reason: _rt::String,
                    /// How it came to that, for `explain`; at most 64 lines are kept.
                    pub trace: _rt::Vec<_rt::String>,
                }
                impl ::core::fmt::Debug for EndVerdict {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        f.debug_struct("EndVerdict")
                            .field("answer", &self.answer)
                            .field("reason", &self.reason)
                            .field("trace", &self.trace)
                            .finish()
                    }
                }
                #[doc(hidden)]
                #[allow(non_snake_case, unused_unsafe)]
                pub unsafe fn _export_build_started_cabi<T_: Guest>(
                    arg0: *mut u8,
                ) -> *mut u8 {
                    unsafe {
                        #[cfg(target_arch = "wasm32")] _rt::run_ctors_once();
                        let result40 = {
                            let l0 = *arg0.add(0).cast::<*mut u8>();
                            let l1 = *arg0
                                .add(::core::mem::size_of::<*const u8>())
                                .cast::<usize>();
                            let len2 = l1;
                            let bytes2 = _rt::Vec::from_raw_parts(l0.cast(), len2, len2);
                            let l3 = *arg0
                                .add(2 * ::core::mem::size_of::<*const u8>())
                                .cast::<*mut u8>();
                            let l4 = *arg0
                                .add(3 * ::core::mem::size_of::<*const u8>())
                                .cast::<usize>();
                            let len5 = l4;
                            let bytes5 = _rt::Vec::from_raw_parts(l3.cast(), len5, len5);
                            let l6 = *arg0
                                .add(4 * ::core::mem::size_of::<*const u8>())
                                .cast::<*mut u8>();
                            let l7 = *arg0
                                .add(5 * ::core::mem::size_of::<*const u8>())
                                .cast::<usize>();
                            let len8 = l7;
                            let bytes8 = _rt::Vec::from_raw_parts(l6.cast(), len8, len8);
                            let l9 = i32::from(
                                *arg0
                                    .add(6 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            let l10 = *arg0
                                .add(7 * ::core::mem::size_of::<*const u8>())
                                .cast::<*mut u8>();
                            let l11 = *arg0
                                .add(8 * ::core::mem::size_of::<*const u8>())
                                .cast::<usize>();
                            let len12 = l11;
                            let bytes12 = _rt::Vec::from_raw_parts(
                                l10.cast(),
                                len12,
                                len12,
                            );
                            let l13 = i32::from(
                                *arg0
                                    .add(9 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            let l17 = i32::from(
                                *arg0
                                    .add(12 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            let l18 = i32::from(
                                *arg0
                                    .add(1 + 12 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            let l19 = i32::from(
                                *arg0
                                    .add(13 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            let l23 = *arg0
                                .add(16 * ::core::mem::size_of::<*const u8>())
                                .cast::<*mut u8>();
                            let l24 = *arg0
                                .add(17 * ::core::mem::size_of::<*const u8>())
                                .cast::<usize>();
                            let base28 = l23;
                            let len28 = l24;
                            let mut result28 = _rt::Vec::with_capacity(len28);
                            for i in 0..len28 {
                                let base = base28
                                    .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                                let e28 = {
                                    let l25 = *base.add(0).cast::<*mut u8>();
                                    let l26 = *base
                                        .add(::core::mem::size_of::<*const u8>())
                                        .cast::<usize>();
                                    let len27 = l26;
                                    let bytes27 = _rt::Vec::from_raw_parts(
                                        l25.cast(),
                                        len27,
                                        len27,
                                    );
                                    _rt::string_lift(bytes27)
                                };
                                result28.push(e28);
                            }
                            _rt::cabi_dealloc(
                                base28,
                                len28 * (2 * ::core::mem::size_of::<*const u8>()),
                                ::core::mem::size_of::<*const u8>(),
                            );
                            let l29 = *arg0
                                .add(18 * ::core::mem::size_of::<*const u8>())
                                .cast::<*mut u8>();
                            let l30 = *arg0
                                .add(19 * ::core::mem::size_of::<*const u8>())
                                .cast::<usize>();
                            let base38 = l29;
                            let len38 = l30;
                            let mut result38 = _rt::Vec::with_capacity(len38);
                            for i in 0..len38 {
                                let base = base38
                                    .add(i * (5 * ::core::mem::size_of::<*const u8>()));
                                let e38 = {
                                    let l31 = *base.add(0).cast::<*mut u8>();
                                    let l32 = *base
                                        .add(::core::mem::size_of::<*const u8>())
                                        .cast::<usize>();
                                    let len33 = l32;
                                    let bytes33 = _rt::Vec::from_raw_parts(
                                        l31.cast(),
                                        len33,
                                        len33,
                                    );
                                    let l34 = i32::from(
                                        *base
                                            .add(2 * ::core::mem::size_of::<*const u8>())
                                            .cast::<u8>(),
                                    );
                                    Requested {
                                        name: _rt::string_lift(bytes33),
                                        value: match l34 {
                                            0 => None,
                                            1 => {
                                                let e = {
                                                    let l35 = *base
                                                        .add(3 * ::core::mem::size_of::<*const u8>())
                                                        .cast::<*mut u8>();
                                                    let l36 = *base
                                                        .add(4 * ::core::mem::size_of::<*const u8>())
                                                        .cast::<usize>();
                                                    let len37 = l36;
                                                    let bytes37 = _rt::Vec::from_raw_parts(
                                                        l35.cast(),
                                                        len37,
                                                        len37,
                                                    );
                                                    _rt::string_lift(bytes37)
                                                };
                                                Some(e)
                                            }
                                            _ => _rt::invalid_enum_discriminant(),
                                        },
                                    }
                                };
                                result38.push(e38);
                            }
                            _rt::cabi_dealloc(
                                base38,
                                len38 * (5 * ::core::mem::size_of::<*const u8>()),
                                ::core::mem::size_of::<*const u8>(),
                            );
                            let l39 = i32::from(
                                *arg0
                                    .add(20 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            T_::build_started(Request {
                                controller: _rt::string_lift(bytes2),
                                project: Project {
                                    full_name: _rt::string_lift(bytes5),
                                    short_name: _rt::string_lift(bytes8),
                                    kind: ProjectKind::_lift(l9 as u8),
                                },
                                function: _rt::string_lift(bytes12),
                                label: match l13 {
                                    0 => None,
                                    1 => {
                                        let e = {
                                            let l14 = *arg0
                                                .add(10 * ::core::mem::size_of::<*const u8>())
                                                .cast::<*mut u8>();
                                            let l15 = *arg0
                                                .add(11 * ::core::mem::size_of::<*const u8>())
                                                .cast::<usize>();
                                            let len16 = l15;
                                            let bytes16 = _rt::Vec::from_raw_parts(
                                                l14.cast(),
                                                len16,
                                                len16,
                                            );
                                            _rt::string_lift(bytes16)
                                        };
                                        Some(e)
                                    }
                                    _ => _rt::invalid_enum_discriminant(),
                                },
                                node: NodeClass {
                                    built_in: _rt::bool_lift(l17 as u8),
                                    exclusive: _rt::bool_lift(l18 as u8),
                                    name: match l19 {
                                        0 => None,
                                        1 => {
                                            let e = {
                                                let l20 = *arg0
                                                    .add(14 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<*mut u8>();
                                                let l21 = *arg0
                                                    .add(15 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<usize>();
                                                let len22 = l21;
                                                let bytes22 = _rt::Vec::from_raw_parts(
                                                    l20.cast(),
                                                    len22,
                                                    len22,
                                                );
                                                _rt::string_lift(bytes22)
                                            };
                                            Some(e)
                                        }
                                        _ => _rt::invalid_enum_discriminant(),
                                    },
                                    labels: result28,
                                },
                                requested: result38,
                                client_asks_offline: _rt::bool_lift(l39 as u8),
                            })
                        };
                        _rt::cabi_dealloc(
                            arg0,
                            21 * ::core::mem::size_of::<*const u8>(),
                            ::core::mem::size_of::<*const u8>(),
                        );
                        let ptr41 = (&raw mut _RET_AREA.0).cast::<u8>();
                        let StartVerdict {
                            answer: answer42,
                            reason: reason42,
                            trace: trace42,
                        } = result40;
                        *ptr41.add(0).cast::<u8>() = (answer42.clone() as i32) as u8;
                        let vec43 = (reason42.into_bytes()).into_boxed_slice();
                        let ptr43 = vec43.as_ptr().cast::<u8>();
                        let len43 = vec43.len();
                        ::core::mem::forget(vec43);
                        *ptr41
                            .add(2 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>() = len43;
                        *ptr41
                            .add(::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>() = ptr43.cast_mut();
                        let vec45 = trace42;
                        let len45 = vec45.len();
                        let layout45 = _rt::alloc::Layout::from_size_align(
                                vec45.len() * (2 * ::core::mem::size_of::<*const u8>()),
                                ::core::mem::size_of::<*const u8>(),
                            )
                            .unwrap();
                        let (result45, _cleanup45) = wit_bindgen::rt::Cleanup::new(
                            layout45,
                        );
                        if let Some(cleanup) = _cleanup45 {
                            cleanup.forget();
                        }
                        for (i, e) in vec45.into_iter().enumerate() {
                            let base = result45
                                .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                            {
                                let vec44 = (e.into_bytes()).into_boxed_slice();
                                let ptr44 = vec44.as_ptr().cast::<u8>();
                                let len44 = vec44.len();
                                ::core::mem::forget(vec44);
                                *base
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<usize>() = len44;
                                *base.add(0).cast::<*mut u8>() = ptr44.cast_mut();
                            }
                        }
                        *ptr41
                            .add(4 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>() = len45;
                        *ptr41
                            .add(3 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>() = result45;
                        ptr41
                    }
                }
                #[doc(hidden)]
                #[allow(non_snake_case)]
                pub unsafe fn __post_return_build_started<T_: Guest>(arg0: *mut u8) {
                    unsafe {
                        let l0 = *arg0
                            .add(::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>();
                        let l1 = *arg0
                            .add(2 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>();
                        _rt::cabi_dealloc(l0, l1, 1);
                        let l2 = *arg0
                            .add(3 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>();
                        let l3 = *arg0
                            .add(4 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>();
                        let base6 = l2;
                        let len6 = l3;
                        for i in 0..len6 {
                            let base = base6
                                .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                            {
                                let l4 = *base.add(0).cast::<*mut u8>();
                                let l5 = *base
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<usize>();
                                _rt::cabi_dealloc(l4, l5, 1);
                            }
                        }
                        _rt::cabi_dealloc(
                            base6,
                            len6 * (2 * ::core::mem::size_of::<*const u8>()),
                            ::core::mem::size_of::<*const u8>(),
                        );
                    }
                }
                #[doc(hidden)]
                #[allow(non_snake_case, unused_unsafe)]
                pub unsafe fn _export_build_ended_cabi<T_: Guest>(
                    arg0: *mut u8,
                ) -> *mut u8 {
                    unsafe {
                        #[cfg(target_arch = "wasm32")] _rt::run_ctors_once();
                        let result42 = {
                            let l0 = *arg0.add(0).cast::<*mut u8>();
                            let l1 = *arg0
                                .add(::core::mem::size_of::<*const u8>())
                                .cast::<usize>();
                            let len2 = l1;
                            let bytes2 = _rt::Vec::from_raw_parts(l0.cast(), len2, len2);
                            let l3 = *arg0
                                .add(2 * ::core::mem::size_of::<*const u8>())
                                .cast::<*mut u8>();
                            let l4 = *arg0
                                .add(3 * ::core::mem::size_of::<*const u8>())
                                .cast::<usize>();
                            let len5 = l4;
                            let bytes5 = _rt::Vec::from_raw_parts(l3.cast(), len5, len5);
                            let l6 = *arg0
                                .add(4 * ::core::mem::size_of::<*const u8>())
                                .cast::<*mut u8>();
                            let l7 = *arg0
                                .add(5 * ::core::mem::size_of::<*const u8>())
                                .cast::<usize>();
                            let len8 = l7;
                            let bytes8 = _rt::Vec::from_raw_parts(l6.cast(), len8, len8);
                            let l9 = i32::from(
                                *arg0
                                    .add(6 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            let l10 = *arg0
                                .add(7 * ::core::mem::size_of::<*const u8>())
                                .cast::<*mut u8>();
                            let l11 = *arg0
                                .add(8 * ::core::mem::size_of::<*const u8>())
                                .cast::<usize>();
                            let len12 = l11;
                            let bytes12 = _rt::Vec::from_raw_parts(
                                l10.cast(),
                                len12,
                                len12,
                            );
                            let l13 = i32::from(
                                *arg0
                                    .add(9 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            let l17 = i32::from(
                                *arg0
                                    .add(12 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            let l18 = i32::from(
                                *arg0
                                    .add(1 + 12 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            let l19 = i32::from(
                                *arg0
                                    .add(13 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            let l23 = *arg0
                                .add(16 * ::core::mem::size_of::<*const u8>())
                                .cast::<*mut u8>();
                            let l24 = *arg0
                                .add(17 * ::core::mem::size_of::<*const u8>())
                                .cast::<usize>();
                            let base28 = l23;
                            let len28 = l24;
                            let mut result28 = _rt::Vec::with_capacity(len28);
                            for i in 0..len28 {
                                let base = base28
                                    .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                                let e28 = {
                                    let l25 = *base.add(0).cast::<*mut u8>();
                                    let l26 = *base
                                        .add(::core::mem::size_of::<*const u8>())
                                        .cast::<usize>();
                                    let len27 = l26;
                                    let bytes27 = _rt::Vec::from_raw_parts(
                                        l25.cast(),
                                        len27,
                                        len27,
                                    );
                                    _rt::string_lift(bytes27)
                                };
                                result28.push(e28);
                            }
                            _rt::cabi_dealloc(
                                base28,
                                len28 * (2 * ::core::mem::size_of::<*const u8>()),
                                ::core::mem::size_of::<*const u8>(),
                            );
                            let l29 = *arg0
                                .add(18 * ::core::mem::size_of::<*const u8>())
                                .cast::<*mut u8>();
                            let l30 = *arg0
                                .add(19 * ::core::mem::size_of::<*const u8>())
                                .cast::<usize>();
                            let base38 = l29;
                            let len38 = l30;
                            let mut result38 = _rt::Vec::with_capacity(len38);
                            for i in 0..len38 {
                                let base = base38
                                    .add(i * (5 * ::core::mem::size_of::<*const u8>()));
                                let e38 = {
                                    let l31 = *base.add(0).cast::<*mut u8>();
                                    let l32 = *base
                                        .add(::core::mem::size_of::<*const u8>())
                                        .cast::<usize>();
                                    let len33 = l32;
                                    let bytes33 = _rt::Vec::from_raw_parts(
                                        l31.cast(),
                                        len33,
                                        len33,
                                    );
                                    let l34 = i32::from(
                                        *base
                                            .add(2 * ::core::mem::size_of::<*const u8>())
                                            .cast::<u8>(),
                                    );
                                    Requested {
                                        name: _rt::string_lift(bytes33),
                                        value: match l34 {
                                            0 => None,
                                            1 => {
                                                let e = {
                                                    let l35 = *base
                                                        .add(3 * ::core::mem::size_of::<*const u8>())
                                                        .cast::<*mut u8>();
                                                    let l36 = *base
                                                        .add(4 * ::core::mem::size_of::<*const u8>())
                                                        .cast::<usize>();
                                                    let len37 = l36;
                                                    let bytes37 = _rt::Vec::from_raw_parts(
                                                        l35.cast(),
                                                        len37,
                                                        len37,
                                                    );
                                                    _rt::string_lift(bytes37)
                                                };
                                                Some(e)
                                            }
                                            _ => _rt::invalid_enum_discriminant(),
                                        },
                                    }
                                };
                                result38.push(e38);
                            }
                            _rt::cabi_dealloc(
                                base38,
                                len38 * (5 * ::core::mem::size_of::<*const u8>()),
                                ::core::mem::size_of::<*const u8>(),
                            );
                            let l39 = i32::from(
                                *arg0
                                    .add(20 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            let l40 = i32::from(
                                *arg0
                                    .add(8 + 20 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            let l41 = *arg0
                                .add(16 + 20 * ::core::mem::size_of::<*const u8>())
                                .cast::<i64>();
                            T_::build_ended(
                                Request {
                                    controller: _rt::string_lift(bytes2),
                                    project: Project {
                                        full_name: _rt::string_lift(bytes5),
                                        short_name: _rt::string_lift(bytes8),
                                        kind: ProjectKind::_lift(l9 as u8),
                                    },
                                    function: _rt::string_lift(bytes12),
                                    label: match l13 {
                                        0 => None,
                                        1 => {
                                            let e = {
                                                let l14 = *arg0
                                                    .add(10 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<*mut u8>();
                                                let l15 = *arg0
                                                    .add(11 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<usize>();
                                                let len16 = l15;
                                                let bytes16 = _rt::Vec::from_raw_parts(
                                                    l14.cast(),
                                                    len16,
                                                    len16,
                                                );
                                                _rt::string_lift(bytes16)
                                            };
                                            Some(e)
                                        }
                                        _ => _rt::invalid_enum_discriminant(),
                                    },
                                    node: NodeClass {
                                        built_in: _rt::bool_lift(l17 as u8),
                                        exclusive: _rt::bool_lift(l18 as u8),
                                        name: match l19 {
                                            0 => None,
                                            1 => {
                                                let e = {
                                                    let l20 = *arg0
                                                        .add(14 * ::core::mem::size_of::<*const u8>())
                                                        .cast::<*mut u8>();
                                                    let l21 = *arg0
                                                        .add(15 * ::core::mem::size_of::<*const u8>())
                                                        .cast::<usize>();
                                                    let len22 = l21;
                                                    let bytes22 = _rt::Vec::from_raw_parts(
                                                        l20.cast(),
                                                        len22,
                                                        len22,
                                                    );
                                                    _rt::string_lift(bytes22)
                                                };
                                                Some(e)
                                            }
                                            _ => _rt::invalid_enum_discriminant(),
                                        },
                                        labels: result28,
                                    },
                                    requested: result38,
                                    client_asks_offline: _rt::bool_lift(l39 as u8),
                                },
                                Outcome {
                                    build_result: BuildResult::_lift(l40 as u8),
                                    duration_ms: l41 as u64,
                                },
                            )
                        };
                        _rt::cabi_dealloc(
                            arg0,
                            24 + 20 * ::core::mem::size_of::<*const u8>(),
                            8,
                        );
                        let ptr43 = (&raw mut _RET_AREA.0).cast::<u8>();
                        let EndVerdict {
                            answer: answer44,
                            reason: reason44,
                            trace: trace44,
                        } = result42;
                        match answer44 {
                            EndAnswer::Abstain => {
                                *ptr43.add(0).cast::<u8>() = (0i32) as u8;
                            }
                            EndAnswer::Online => {
                                *ptr43.add(0).cast::<u8>() = (1i32) as u8;
                            }
                            EndAnswer::Offline(e) => {
                                *ptr43.add(0).cast::<u8>() = (2i32) as u8;
                                let vec45 = (e.into_bytes()).into_boxed_slice();
                                let ptr45 = vec45.as_ptr().cast::<u8>();
                                let len45 = vec45.len();
                                ::core::mem::forget(vec45);
                                *ptr43
                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                    .cast::<usize>() = len45;
                                *ptr43
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<*mut u8>() = ptr45.cast_mut();
                            }
                            EndAnswer::Held(e) => {
                                *ptr43.add(0).cast::<u8>() = (3i32) as u8;
                                let vec46 = (e.into_bytes()).into_boxed_slice();
                                let ptr46 = vec46.as_ptr().cast::<u8>();
                                let len46 = vec46.len();
                                ::core::mem::forget(vec46);
                                *ptr43
                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                    .cast::<usize>() = len46;
                                *ptr43
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<*mut u8>() = ptr46.cast_mut();
                            }
                        }
                        let vec47 = (reason44.into_bytes()).into_boxed_slice();
                        let ptr47 = vec47.as_ptr().cast::<u8>();
                        let len47 = vec47.len();
                        ::core::mem::forget(vec47);
                        *ptr43
                            .add(4 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>() = len47;
                        *ptr43
                            .add(3 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>() = ptr47.cast_mut();
                        let vec49 = trace44;
                        let len49 = vec49.len();
                        let layout49 = _rt::alloc::Layout::from_size_align(
                                vec49.len() * (2 * ::core::mem::size_of::<*const u8>()),
                                ::core::mem::size_of::<*const u8>(),
                            )
                            .unwrap();
                        let (result49, _cleanup49) = wit_bindgen::rt::Cleanup::new(
                            layout49,
                        );
                        if let Some(cleanup) = _cleanup49 {
                            cleanup.forget();
                        }
                        for (i, e) in vec49.into_iter().enumerate() {
                            let base = result49
                                .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                            {
                                let vec48 = (e.into_bytes()).into_boxed_slice();
                                let ptr48 = vec48.as_ptr().cast::<u8>();
                                let len48 = vec48.len();
                                ::core::mem::forget(vec48);
                                *base
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<usize>() = len48;
                                *base.add(0).cast::<*mut u8>() = ptr48.cast_mut();
                            }
                        }
                        *ptr43
                            .add(6 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>() = len49;
                        *ptr43
                            .add(5 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>() = result49;
                        ptr43
                    }
                }
                #[doc(hidden)]
                #[allow(non_snake_case)]
                pub unsafe fn __post_return_build_ended<T_: Guest>(arg0: *mut u8) {
                    unsafe {
                        let l0 = i32::from(*arg0.add(0).cast::<u8>());
                        match l0 {
                            0 => {}
                            1 => {}
                            2 => {
                                let l1 = *arg0
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<*mut u8>();
                                let l2 = *arg0
                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                    .cast::<usize>();
                                _rt::cabi_dealloc(l1, l2, 1);
                            }
                            _ => {
                                let l3 = *arg0
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<*mut u8>();
                                let l4 = *arg0
                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                    .cast::<usize>();
                                _rt::cabi_dealloc(l3, l4, 1);
                            }
                        }
                        let l5 = *arg0
                            .add(3 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>();
                        let l6 = *arg0
                            .add(4 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>();
                        _rt::cabi_dealloc(l5, l6, 1);
                        let l7 = *arg0
                            .add(5 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>();
                        let l8 = *arg0
                            .add(6 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>();
                        let base11 = l7;
                        let len11 = l8;
                        for i in 0..len11 {
                            let base = base11
                                .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                            {
                                let l9 = *base.add(0).cast::<*mut u8>();
                                let l10 = *base
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<usize>();
                                _rt::cabi_dealloc(l9, l10, 1);
                            }
                        }
                        _rt::cabi_dealloc(
                            base11,
                            len11 * (2 * ::core::mem::size_of::<*const u8>()),
                            ::core::mem::size_of::<*const u8>(),
                        );
                    }
                }
                pub trait Guest {
                    /// Asked when a build has started. Over all policies: reserve before share.
                    #[allow(async_fn_in_trait)]
                    fn build_started(request: Request) -> StartVerdict;
                    /// Asked when a build has ended. Over all policies: held before offline before online.
                    #[allow(async_fn_in_trait)]
                    fn build_ended(request: Request, outcome: Outcome) -> EndVerdict;
                }
                #[doc(hidden)]
                #[macro_export]
                macro_rules! __export_layshaft_policy_offline_0_1_0_cabi {
                    ($ty:ident with_types_in $($path_to_types:tt)*) => {
                        const _ : () = { #[unsafe (export_name =
                        "layshaft:policy/offline@0.1.0#build-started")] unsafe extern "C"
                        fn export_build_started(arg0 : * mut u8,) -> * mut u8 { unsafe {
                        $($path_to_types)*:: _export_build_started_cabi::<$ty > (arg0) }
                        } #[unsafe (export_name =
                        "cabi_post_layshaft:policy/offline@0.1.0#build-started")] unsafe
                        extern "C" fn _post_return_build_started(arg0 : * mut u8,) {
                        unsafe { $($path_to_types)*:: __post_return_build_started::<$ty >
                        (arg0) } } #[unsafe (export_name =
                        "layshaft:policy/offline@0.1.0#build-ended")] unsafe extern "C"
                        fn export_build_ended(arg0 : * mut u8,) -> * mut u8 { unsafe {
                        $($path_to_types)*:: _export_build_ended_cabi::<$ty > (arg0) } }
                        #[unsafe (export_name =
                        "cabi_post_layshaft:policy/offline@0.1.0#build-ended")] unsafe
                        extern "C" fn _post_return_build_ended(arg0 : * mut u8,) { unsafe
                        { $($path_to_types)*:: __post_return_build_ended::<$ty > (arg0) }
                        } };
                    };
                }
                #[doc(hidden)]
                pub use __export_layshaft_policy_offline_0_1_0_cabi;
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
    pub unsafe fn cabi_dealloc(ptr: *mut u8, size: usize, align: usize) {
        if size == 0 {
            return;
        }
        unsafe {
            let layout = alloc::Layout::from_size_align_unchecked(size, align);
            alloc::dealloc(ptr, layout);
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
/// # macro_rules! export_offline{ ($($t:tt)*) => (); }
/// # trait Guest {}
/// struct MyType;
///
/// impl Guest for MyType {
///     // ...
/// }
///
/// export_offline!(MyType);
/// ```
#[allow(unused_macros)]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_offline_impl {
    ($ty:ident) => {
        $crate::bindings::offline::export_offline!($ty with_types_in
        $crate::bindings::offline);
    };
    ($ty:ident with_types_in $($path_to_types_root:tt)*) => {
        $($path_to_types_root)*::
        exports::layshaft::policy::offline::__export_layshaft_policy_offline_0_1_0_cabi!($ty
        with_types_in $($path_to_types_root)*:: exports::layshaft::policy::offline);
        const _ : () = { #[cfg(target_arch = "wasm32")] #[unsafe (link_section =
        "component-type:wit-bindgen:0.61.1:layshaft:sdk:offline:imports and exports")]
        #[doc(hidden)] #[allow(clippy::octal_escapes)] pub static
        __WIT_BINDGEN_COMPONENT_TYPE : [u8; 858] = *
        b"\
\0asm\x0d\0\x01\0\0\x19\x16wit-component-encoding\x04\0\x07\xdc\x05\x01A\x02\x01\
A\x02\x01B\x1d\x01m\x05\x09freestyle\x05maven\x06matrix\x08pipeline\x05other\x04\
\0\x0cproject-kind\x03\0\0\x01r\x03\x09full-names\x0ashort-names\x04kind\x01\x04\
\0\x07project\x03\0\x02\x01ks\x01ps\x01r\x04\x08built-in\x7f\x09exclusive\x7f\x04\
name\x04\x06labels\x05\x04\0\x0anode-class\x03\0\x06\x01r\x02\x04names\x05value\x04\
\x04\0\x09requested\x03\0\x08\x01p\x09\x01r\x07\x0acontrollers\x07project\x03\x08\
functions\x05label\x04\x04node\x07\x09requested\x0a\x13client-asks-offline\x7f\x04\
\0\x07request\x03\0\x0b\x01m\x03\x07abstain\x05share\x07reserve\x04\0\x0cstart-a\
nswer\x03\0\x0d\x01r\x03\x06answer\x0e\x06reasons\x05trace\x05\x04\0\x0dstart-ve\
rdict\x03\0\x0f\x01m\x06\x07success\x08unstable\x07failure\x09not-built\x07abort\
ed\x07unknown\x04\0\x0cbuild-result\x03\0\x11\x01r\x02\x0cbuild-result\x12\x0bdu\
ration-msw\x04\0\x07outcome\x03\0\x13\x01q\x04\x07abstain\0\0\x06online\0\0\x07o\
ffline\x01s\0\x04held\x01s\0\x04\0\x0aend-answer\x03\0\x15\x01r\x03\x06answer\x16\
\x06reasons\x05trace\x05\x04\0\x0bend-verdict\x03\0\x17\x01@\x01\x07request\x0c\0\
\x10\x04\0\x0dbuild-started\x01\x19\x01@\x02\x07request\x0c\x07outcome\x14\0\x18\
\x04\0\x0bbuild-ended\x01\x1a\x04\0\x1dlayshaft:policy/offline@0.1.0\x05\0\x04\0\
\x14layshaft:sdk/offline\x04\0\x0b\x0d\x01\0\x07offline\x03\0\0\0G\x09producers\x01\
\x0cprocessed-by\x02\x0dwit-component\x070.258.3\x10wit-bindgen-rust\x060.61.1";
        };
    };
}
#[doc(inline)]
pub use __export_offline_impl as export_offline;
#[cfg(target_arch = "wasm32")]
#[unsafe(
    link_section = "component-type:wit-bindgen:0.61.1:layshaft:sdk:offline-with-all-of-its-exports-removed:encoded world"
)]
#[doc(hidden)]
#[allow(clippy::octal_escapes)]
pub static __WIT_BINDGEN_COMPONENT_TYPE: [u8; 220] = *b"\
\0asm\x0d\0\x01\0\0\x19\x16wit-component-encoding\x04\0\x07?\x01A\x02\x01A\0\x04\
\04layshaft:sdk/offline-with-all-of-its-exports-removed\x04\0\x0b-\x01\0'offline\
-with-all-of-its-exports-removed\x03\0\0\0G\x09producers\x01\x0cprocessed-by\x02\
\x0dwit-component\x070.258.3\x10wit-bindgen-rust\x060.61.1";
#[inline(never)]
#[doc(hidden)]
pub fn __link_custom_section_describing_imports() {
    wit_bindgen::rt::maybe_link_cabi_realloc();
}
