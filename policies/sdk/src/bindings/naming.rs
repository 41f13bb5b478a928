// Written by policies/sdk/bind from wit/policy.wit; do not change it by hand.
#[allow(dead_code, clippy::all)]
pub mod exports {
    pub mod layshaft {
        pub mod policy {
            /// Under which function names a project is offered.
            #[allow(dead_code, async_fn_in_trait, unused_imports, clippy::all)]
            pub mod naming {
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
                /// What is to be offered.
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
                /// A project, and a class of nodes on which it may run.
                #[derive(Clone, Eq, PartialEq)]
                pub struct Question {
                    /// The controller's name in the configuration.
                    pub controller: _rt::String,
                    pub project: Project,
                    /// No other project known to Layshaft has this short name.
                    pub short_name_unique: bool,
                    pub node: NodeClass,
                    /// The atoms of the project's label expression that the node satisfies, sorted.
                    pub matched_labels: _rt::Vec<_rt::String>,
                }
                impl ::core::fmt::Debug for Question {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        f.debug_struct("Question")
                            .field("controller", &self.controller)
                            .field("project", &self.project)
                            .field("short-name-unique", &self.short_name_unique)
                            .field("node", &self.node)
                            .field("matched-labels", &self.matched_labels)
                            .finish()
                    }
                }
                /// One function name: Layshaft writes `build:PROJECT`, or `build:PROJECT:LABEL`.
                #[derive(Clone, Eq, PartialEq)]
                pub struct Name {
                    /// The part of the project: not empty, no white space.
                    pub project: _rt::String,
                    /// The part of the label: the same, if there is one. Both together have at most 511 bytes with `build:`.
                    pub label: ::core::option::Option<_rt::String>,
                }
                impl ::core::fmt::Debug for Name {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        f.debug_struct("Name")
                            .field("project", &self.project)
                            .field("label", &self.label)
                            .finish()
                    }
                }
                /// Under which names, and why.
                #[derive(Clone, Eq, PartialEq)]
                pub struct Verdict {
                    /// `none` abstains. The first policy, in file order, that answers owns the names.
                    pub names: ::core::option::Option<_rt::Vec<Name>>,
                    /// Offered beside the names, whoever owns those. The aliases of all policies are united.
                    pub aliases: _rt::Vec<Name>,
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
                            .field("names", &self.names)
                            .field("aliases", &self.aliases)
                            .field("reason", &self.reason)
                            .field("trace", &self.trace)
                            .finish()
                    }
                }
                #[doc(hidden)]
                #[allow(non_snake_case, unused_unsafe)]
                pub unsafe fn _export_names_cabi<T_: Guest>(arg0: *mut u8) -> *mut u8 {
                    unsafe {
                        #[cfg(target_arch = "wasm32")] _rt::run_ctors_once();
                        let result29 = {
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
                            let l12 = i32::from(
                                *arg0
                                    .add(1 + 8 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            let l13 = i32::from(
                                *arg0
                                    .add(9 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>(),
                            );
                            let l17 = *arg0
                                .add(12 * ::core::mem::size_of::<*const u8>())
                                .cast::<*mut u8>();
                            let l18 = *arg0
                                .add(13 * ::core::mem::size_of::<*const u8>())
                                .cast::<usize>();
                            let base22 = l17;
                            let len22 = l18;
                            let mut result22 = _rt::Vec::with_capacity(len22);
                            for i in 0..len22 {
                                let base = base22
                                    .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                                let e22 = {
                                    let l19 = *base.add(0).cast::<*mut u8>();
                                    let l20 = *base
                                        .add(::core::mem::size_of::<*const u8>())
                                        .cast::<usize>();
                                    let len21 = l20;
                                    let bytes21 = _rt::Vec::from_raw_parts(
                                        l19.cast(),
                                        len21,
                                        len21,
                                    );
                                    _rt::string_lift(bytes21)
                                };
                                result22.push(e22);
                            }
                            _rt::cabi_dealloc(
                                base22,
                                len22 * (2 * ::core::mem::size_of::<*const u8>()),
                                ::core::mem::size_of::<*const u8>(),
                            );
                            let l23 = *arg0
                                .add(14 * ::core::mem::size_of::<*const u8>())
                                .cast::<*mut u8>();
                            let l24 = *arg0
                                .add(15 * ::core::mem::size_of::<*const u8>())
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
                            T_::names(Question {
                                controller: _rt::string_lift(bytes2),
                                project: Project {
                                    full_name: _rt::string_lift(bytes5),
                                    short_name: _rt::string_lift(bytes8),
                                    kind: ProjectKind::_lift(l9 as u8),
                                },
                                short_name_unique: _rt::bool_lift(l10 as u8),
                                node: NodeClass {
                                    built_in: _rt::bool_lift(l11 as u8),
                                    exclusive: _rt::bool_lift(l12 as u8),
                                    name: match l13 {
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
                                    labels: result22,
                                },
                                matched_labels: result28,
                            })
                        };
                        _rt::cabi_dealloc(
                            arg0,
                            16 * ::core::mem::size_of::<*const u8>(),
                            ::core::mem::size_of::<*const u8>(),
                        );
                        let ptr30 = (&raw mut _RET_AREA.0).cast::<u8>();
                        let Verdict {
                            names: names31,
                            aliases: aliases31,
                            reason: reason31,
                            trace: trace31,
                        } = result29;
                        match names31 {
                            Some(e) => {
                                *ptr30.add(0).cast::<u8>() = (1i32) as u8;
                                let vec35 = e;
                                let len35 = vec35.len();
                                let layout35 = _rt::alloc::Layout::from_size_align(
                                        vec35.len() * (5 * ::core::mem::size_of::<*const u8>()),
                                        ::core::mem::size_of::<*const u8>(),
                                    )
                                    .unwrap();
                                let (result35, _cleanup35) = wit_bindgen::rt::Cleanup::new(
                                    layout35,
                                );
                                if let Some(cleanup) = _cleanup35 {
                                    cleanup.forget();
                                }
                                for (i, e) in vec35.into_iter().enumerate() {
                                    let base = result35
                                        .add(i * (5 * ::core::mem::size_of::<*const u8>()));
                                    {
                                        let Name { project: project32, label: label32 } = e;
                                        let vec33 = (project32.into_bytes()).into_boxed_slice();
                                        let ptr33 = vec33.as_ptr().cast::<u8>();
                                        let len33 = vec33.len();
                                        ::core::mem::forget(vec33);
                                        *base
                                            .add(::core::mem::size_of::<*const u8>())
                                            .cast::<usize>() = len33;
                                        *base.add(0).cast::<*mut u8>() = ptr33.cast_mut();
                                        match label32 {
                                            Some(e) => {
                                                *base
                                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<u8>() = (1i32) as u8;
                                                let vec34 = (e.into_bytes()).into_boxed_slice();
                                                let ptr34 = vec34.as_ptr().cast::<u8>();
                                                let len34 = vec34.len();
                                                ::core::mem::forget(vec34);
                                                *base
                                                    .add(4 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<usize>() = len34;
                                                *base
                                                    .add(3 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<*mut u8>() = ptr34.cast_mut();
                                            }
                                            None => {
                                                *base
                                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<u8>() = (0i32) as u8;
                                            }
                                        };
                                    }
                                }
                                *ptr30
                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                    .cast::<usize>() = len35;
                                *ptr30
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<*mut u8>() = result35;
                            }
                            None => {
                                *ptr30.add(0).cast::<u8>() = (0i32) as u8;
                            }
                        };
                        let vec39 = aliases31;
                        let len39 = vec39.len();
                        let layout39 = _rt::alloc::Layout::from_size_align(
                                vec39.len() * (5 * ::core::mem::size_of::<*const u8>()),
                                ::core::mem::size_of::<*const u8>(),
                            )
                            .unwrap();
                        let (result39, _cleanup39) = wit_bindgen::rt::Cleanup::new(
                            layout39,
                        );
                        if let Some(cleanup) = _cleanup39 {
                            cleanup.forget();
                        }
                        for (i, e) in vec39.into_iter().enumerate() {
                            let base = result39
                                .add(i * (5 * ::core::mem::size_of::<*const u8>()));
                            {
                                let Name { project: project36, label: label36 } = e;
                                let vec37 = (project36.into_bytes()).into_boxed_slice();
                                let ptr37 = vec37.as_ptr().cast::<u8>();
                                let len37 = vec37.len();
                                ::core::mem::forget(vec37);
                                *base
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<usize>() = len37;
                                *base.add(0).cast::<*mut u8>() = ptr37.cast_mut();
                                match label36 {
                                    Some(e) => {
                                        *base
                                            .add(2 * ::core::mem::size_of::<*const u8>())
                                            .cast::<u8>() = (1i32) as u8;
                                        let vec38 = (e.into_bytes()).into_boxed_slice();
                                        let ptr38 = vec38.as_ptr().cast::<u8>();
                                        let len38 = vec38.len();
                                        ::core::mem::forget(vec38);
                                        *base
                                            .add(4 * ::core::mem::size_of::<*const u8>())
                                            .cast::<usize>() = len38;
                                        *base
                                            .add(3 * ::core::mem::size_of::<*const u8>())
                                            .cast::<*mut u8>() = ptr38.cast_mut();
                                    }
                                    None => {
                                        *base
                                            .add(2 * ::core::mem::size_of::<*const u8>())
                                            .cast::<u8>() = (0i32) as u8;
                                    }
                                };
                            }
                        }
                        *ptr30
                            .add(4 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>() = len39;
                        *ptr30
                            .add(3 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>() = result39;
                        let vec40 = (reason31.into_bytes()).into_boxed_slice();
                        let ptr40 = vec40.as_ptr().cast::<u8>();
                        let len40 = vec40.len();
                        ::core::mem::forget(vec40);
                        *ptr30
                            .add(6 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>() = len40;
                        *ptr30
                            .add(5 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>() = ptr40.cast_mut();
                        let vec42 = trace31;
                        let len42 = vec42.len();
                        let layout42 = _rt::alloc::Layout::from_size_align(
                                vec42.len() * (2 * ::core::mem::size_of::<*const u8>()),
                                ::core::mem::size_of::<*const u8>(),
                            )
                            .unwrap();
                        let (result42, _cleanup42) = wit_bindgen::rt::Cleanup::new(
                            layout42,
                        );
                        if let Some(cleanup) = _cleanup42 {
                            cleanup.forget();
                        }
                        for (i, e) in vec42.into_iter().enumerate() {
                            let base = result42
                                .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                            {
                                let vec41 = (e.into_bytes()).into_boxed_slice();
                                let ptr41 = vec41.as_ptr().cast::<u8>();
                                let len41 = vec41.len();
                                ::core::mem::forget(vec41);
                                *base
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<usize>() = len41;
                                *base.add(0).cast::<*mut u8>() = ptr41.cast_mut();
                            }
                        }
                        *ptr30
                            .add(8 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>() = len42;
                        *ptr30
                            .add(7 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>() = result42;
                        ptr30
                    }
                }
                #[doc(hidden)]
                #[allow(non_snake_case)]
                pub unsafe fn __post_return_names<T_: Guest>(arg0: *mut u8) {
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
                                let base8 = l1;
                                let len8 = l2;
                                for i in 0..len8 {
                                    let base = base8
                                        .add(i * (5 * ::core::mem::size_of::<*const u8>()));
                                    {
                                        let l3 = *base.add(0).cast::<*mut u8>();
                                        let l4 = *base
                                            .add(::core::mem::size_of::<*const u8>())
                                            .cast::<usize>();
                                        _rt::cabi_dealloc(l3, l4, 1);
                                        let l5 = i32::from(
                                            *base
                                                .add(2 * ::core::mem::size_of::<*const u8>())
                                                .cast::<u8>(),
                                        );
                                        match l5 {
                                            0 => {}
                                            _ => {
                                                let l6 = *base
                                                    .add(3 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<*mut u8>();
                                                let l7 = *base
                                                    .add(4 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<usize>();
                                                _rt::cabi_dealloc(l6, l7, 1);
                                            }
                                        }
                                    }
                                }
                                _rt::cabi_dealloc(
                                    base8,
                                    len8 * (5 * ::core::mem::size_of::<*const u8>()),
                                    ::core::mem::size_of::<*const u8>(),
                                );
                            }
                        }
                        let l9 = *arg0
                            .add(3 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>();
                        let l10 = *arg0
                            .add(4 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>();
                        let base16 = l9;
                        let len16 = l10;
                        for i in 0..len16 {
                            let base = base16
                                .add(i * (5 * ::core::mem::size_of::<*const u8>()));
                            {
                                let l11 = *base.add(0).cast::<*mut u8>();
                                let l12 = *base
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<usize>();
                                _rt::cabi_dealloc(l11, l12, 1);
                                let l13 = i32::from(
                                    *base
                                        .add(2 * ::core::mem::size_of::<*const u8>())
                                        .cast::<u8>(),
                                );
                                match l13 {
                                    0 => {}
                                    _ => {
                                        let l14 = *base
                                            .add(3 * ::core::mem::size_of::<*const u8>())
                                            .cast::<*mut u8>();
                                        let l15 = *base
                                            .add(4 * ::core::mem::size_of::<*const u8>())
                                            .cast::<usize>();
                                        _rt::cabi_dealloc(l14, l15, 1);
                                    }
                                }
                            }
                        }
                        _rt::cabi_dealloc(
                            base16,
                            len16 * (5 * ::core::mem::size_of::<*const u8>()),
                            ::core::mem::size_of::<*const u8>(),
                        );
                        let l17 = *arg0
                            .add(5 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>();
                        let l18 = *arg0
                            .add(6 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>();
                        _rt::cabi_dealloc(l17, l18, 1);
                        let l19 = *arg0
                            .add(7 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>();
                        let l20 = *arg0
                            .add(8 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>();
                        let base23 = l19;
                        let len23 = l20;
                        for i in 0..len23 {
                            let base = base23
                                .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                            {
                                let l21 = *base.add(0).cast::<*mut u8>();
                                let l22 = *base
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<usize>();
                                _rt::cabi_dealloc(l21, l22, 1);
                            }
                        }
                        _rt::cabi_dealloc(
                            base23,
                            len23 * (2 * ::core::mem::size_of::<*const u8>()),
                            ::core::mem::size_of::<*const u8>(),
                        );
                    }
                }
                pub trait Guest {
                    /// Asked for each pair of a project and a class of nodes that match.
                    #[allow(async_fn_in_trait)]
                    fn names(question: Question) -> Verdict;
                }
                #[doc(hidden)]
                #[macro_export]
                macro_rules! __export_layshaft_policy_naming_0_1_0_cabi {
                    ($ty:ident with_types_in $($path_to_types:tt)*) => {
                        const _ : () = { #[unsafe (export_name =
                        "layshaft:policy/naming@0.1.0#names")] unsafe extern "C" fn
                        export_names(arg0 : * mut u8,) -> * mut u8 { unsafe {
                        $($path_to_types)*:: _export_names_cabi::<$ty > (arg0) } }
                        #[unsafe (export_name =
                        "cabi_post_layshaft:policy/naming@0.1.0#names")] unsafe extern
                        "C" fn _post_return_names(arg0 : * mut u8,) { unsafe {
                        $($path_to_types)*:: __post_return_names::<$ty > (arg0) } } };
                    };
                }
                #[doc(hidden)]
                pub use __export_layshaft_policy_naming_0_1_0_cabi;
                #[cfg_attr(target_pointer_width = "64", repr(align(8)))]
                #[cfg_attr(target_pointer_width = "32", repr(align(4)))]
                struct _RetArea(
                    [::core::mem::MaybeUninit<
                        u8,
                    >; 9 * ::core::mem::size_of::<*const u8>()],
                );
                static mut _RET_AREA: _RetArea = _RetArea(
                    [::core::mem::MaybeUninit::uninit(); 9
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
    pub use alloc_crate::alloc;
    extern crate alloc as alloc_crate;
}
/// Generates `#[unsafe(no_mangle)]` functions to export the specified type as
/// the root implementation of all generated traits.
///
/// For more information see the documentation of `wit_bindgen::generate!`.
///
/// ```rust
/// # macro_rules! export_naming{ ($($t:tt)*) => (); }
/// # trait Guest {}
/// struct MyType;
///
/// impl Guest for MyType {
///     // ...
/// }
///
/// export_naming!(MyType);
/// ```
#[allow(unused_macros)]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_naming_impl {
    ($ty:ident) => {
        $crate::bindings::naming::export_naming!($ty with_types_in
        $crate::bindings::naming);
    };
    ($ty:ident with_types_in $($path_to_types_root:tt)*) => {
        $($path_to_types_root)*::
        exports::layshaft::policy::naming::__export_layshaft_policy_naming_0_1_0_cabi!($ty
        with_types_in $($path_to_types_root)*:: exports::layshaft::policy::naming); const
        _ : () = { #[cfg(target_arch = "wasm32")] #[unsafe (link_section =
        "component-type:wit-bindgen:0.61.1:layshaft:sdk:naming:imports and exports")]
        #[doc(hidden)] #[allow(clippy::octal_escapes)] pub static
        __WIT_BINDGEN_COMPONENT_TYPE : [u8; 541] = *
        b"\
\0asm\x0d\0\x01\0\0\x19\x16wit-component-encoding\x04\0\x07\xa0\x03\x01A\x02\x01\
A\x02\x01B\x12\x01m\x05\x09freestyle\x05maven\x06matrix\x08pipeline\x05other\x04\
\0\x0cproject-kind\x03\0\0\x01r\x03\x09full-names\x0ashort-names\x04kind\x01\x04\
\0\x07project\x03\0\x02\x01ks\x01ps\x01r\x04\x08built-in\x7f\x09exclusive\x7f\x04\
name\x04\x06labels\x05\x04\0\x0anode-class\x03\0\x06\x01r\x05\x0acontrollers\x07\
project\x03\x11short-name-unique\x7f\x04node\x07\x0ematched-labels\x05\x04\0\x08\
question\x03\0\x08\x01r\x02\x07projects\x05label\x04\x04\0\x04name\x03\0\x0a\x01\
p\x0b\x01k\x0c\x01r\x04\x05names\x0d\x07aliases\x0c\x06reasons\x05trace\x05\x04\0\
\x07verdict\x03\0\x0e\x01@\x01\x08question\x09\0\x0f\x04\0\x05names\x01\x10\x04\0\
\x1clayshaft:policy/naming@0.1.0\x05\0\x04\0\x13layshaft:sdk/naming\x04\0\x0b\x0c\
\x01\0\x06naming\x03\0\0\0G\x09producers\x01\x0cprocessed-by\x02\x0dwit-componen\
t\x070.258.3\x10wit-bindgen-rust\x060.61.1";
        };
    };
}
#[doc(inline)]
pub use __export_naming_impl as export_naming;
#[cfg(target_arch = "wasm32")]
#[unsafe(
    link_section = "component-type:wit-bindgen:0.61.1:layshaft:sdk:naming-with-all-of-its-exports-removed:encoded world"
)]
#[doc(hidden)]
#[allow(clippy::octal_escapes)]
pub static __WIT_BINDGEN_COMPONENT_TYPE: [u8; 218] = *b"\
\0asm\x0d\0\x01\0\0\x19\x16wit-component-encoding\x04\0\x07>\x01A\x02\x01A\0\x04\
\03layshaft:sdk/naming-with-all-of-its-exports-removed\x04\0\x0b,\x01\0&naming-w\
ith-all-of-its-exports-removed\x03\0\0\0G\x09producers\x01\x0cprocessed-by\x02\x0d\
wit-component\x070.258.3\x10wit-bindgen-rust\x060.61.1";
#[inline(never)]
#[doc(hidden)]
pub fn __link_custom_section_describing_imports() {
    wit_bindgen::rt::maybe_link_cabi_realloc();
}
