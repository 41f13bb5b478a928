// Written by policies/sdk/bind from wit/policy.wit; do not change it by hand.
#[allow(dead_code, clippy::all)]
pub mod exports {
    pub mod layshaft {
        pub mod policy {
            /// Which parameters a client may pass, and whether its job is taken at all.
            #[allow(dead_code, async_fn_in_trait, unused_imports, clippy::all)]
            pub mod parameters {
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
                /// A parameter that the project declares.
                #[derive(Clone, Eq, PartialEq)]
                pub struct Declared {
                    /// Its name; letter case counts.
                    pub name: _rt::String,
                    /// Jenkins' class name without its package, such as `StringParameterDefinition`.
                    pub kind: _rt::String,
                }
                impl ::core::fmt::Debug for Declared {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        f.debug_struct("Declared")
                            .field("name", &self.name)
                            .field("kind", &self.kind)
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
                /// A job that shall become a build.
                #[derive(Clone, Eq, PartialEq)]
                pub struct Question {
                    /// The controller's name in the configuration.
                    pub controller: _rt::String,
                    pub project: Project,
                    /// The function's name as the client called it, such as `build:lint:ubuntu`.
                    pub function: _rt::String,
                    /// The label part of it.
                    pub label: ::core::option::Option<_rt::String>,
                    /// Where an executor is leased for it.
                    pub node: NodeClass,
                    /// What the project declares.
                    pub declared: _rt::Vec<Declared>,
                    /// What the client sent. The marker, the pin to a node and OFFLINE_NODE_WHEN_COMPLETE are Layshaft's own and not
                    /// among it.
                    pub requested: _rt::Vec<Requested>,
                }
                impl ::core::fmt::Debug for Question {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        f.debug_struct("Question")
                            .field("controller", &self.controller)
                            .field("project", &self.project)
                            .field("function", &self.function)
                            .field("label", &self.label)
                            .field("node", &self.node)
                            .field("declared", &self.declared)
                            .field("requested", &self.requested)
                            .finish()
                    }
                }
                /// What becomes of one parameter.
                #[derive(Clone, Eq, PartialEq)]
                pub enum Decision {
                    /// It passes.
                    Allow,
                    /// It does not pass, and the build is started without it.
                    Drop,
                    /// Passes this value instead. Needs the grant `rewrite`; may name any declared parameter.
                    Set(_rt::String),
                }
                impl ::core::fmt::Debug for Decision {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        match self {
                            Decision::Allow => f.debug_tuple("Decision::Allow").finish(),
                            Decision::Drop => f.debug_tuple("Decision::Drop").finish(),
                            Decision::Set(e) => {
                                f.debug_tuple("Decision::Set").field(e).finish()
                            }
                        }
                    }
                }
                /// A decision about one parameter.
                #[derive(Clone, Eq, PartialEq)]
                pub struct Rule {
                    /// The parameter's name.
                    pub name: _rt::String,
                    pub decision: Decision,
                }
                impl ::core::fmt::Debug for Rule {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        f.debug_struct("Rule")
                            .field("name", &self.name)
                            .field("decision", &self.decision)
                            .finish()
                    }
                }
                /// What becomes of parameters without a rule.
                #[repr(u8)]
                #[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
                pub enum Rest {
                    /// Parameters without a rule pass.
                    Open,
                    /// Parameters without a rule need another policy's `allow`.
                    Closed,
                }
                impl ::core::fmt::Debug for Rest {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        match self {
                            Rest::Open => f.debug_tuple("Rest::Open").finish(),
                            Rest::Closed => f.debug_tuple("Rest::Closed").finish(),
                        }
                    }
                }
                impl Rest {
                    #[doc(hidden)]
                    pub unsafe fn _lift(val: u8) -> Rest {
                        if !cfg!(debug_assertions) {
                            return unsafe { ::core::mem::transmute(val) };
                        }
                        match val {
                            0 => Rest::Open,
                            1 => Rest::Closed,
                            _ => panic!("invalid enum discriminant"),
                        }
                    }
                }
                /// What passes.
                #[derive(Clone, Eq, PartialEq)]
                pub struct Rules {
                    /// By name; a parameter that nobody sent may be named as well.
                    pub named: _rt::Vec<Rule>,
                    pub rest: Rest,
                }
                impl ::core::fmt::Debug for Rules {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        f.debug_struct("Rules")
                            .field("named", &self.named)
                            .field("rest", &self.rest)
                            .finish()
                    }
                }
                /// Whether there is a build, and with what.
                #[derive(Clone, Eq, PartialEq)]
                pub enum Answer {
                    /// Everything passes, as far as this policy goes.
                    Abstain,
                    /// No build is started; the client is told the reason.
                    Reject,
                    /// The build is started with what the rules let through.
                    Rules(Rules),
                }
                impl ::core::fmt::Debug for Answer {
                    fn fmt(
                        &self,
                        f: &mut ::core::fmt::Formatter<'_>,
                    ) -> ::core::fmt::Result {
                        match self {
                            Answer::Abstain => f.debug_tuple("Answer::Abstain").finish(),
                            Answer::Reject => f.debug_tuple("Answer::Reject").finish(),
                            Answer::Rules(e) => {
                                f.debug_tuple("Answer::Rules").field(e).finish()
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
                pub unsafe fn _export_filter_cabi<T_: Guest>(arg0: *mut u8) -> *mut u8 {
                    unsafe {
                        #[cfg(target_arch = "wasm32")] _rt::run_ctors_once();
                        let result48 = {
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
                            let base37 = l29;
                            let len37 = l30;
                            let mut result37 = _rt::Vec::with_capacity(len37);
                            for i in 0..len37 {
                                let base = base37
                                    .add(i * (4 * ::core::mem::size_of::<*const u8>()));
                                let e37 = {
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
                                    let l34 = *base
                                        .add(2 * ::core::mem::size_of::<*const u8>())
                                        .cast::<*mut u8>();
                                    let l35 = *base
                                        .add(3 * ::core::mem::size_of::<*const u8>())
                                        .cast::<usize>();
                                    let len36 = l35;
                                    let bytes36 = _rt::Vec::from_raw_parts(
                                        l34.cast(),
                                        len36,
                                        len36,
                                    );
                                    Declared {
                                        name: _rt::string_lift(bytes33),
                                        kind: _rt::string_lift(bytes36),
                                    }
                                };
                                result37.push(e37);
                            }
                            _rt::cabi_dealloc(
                                base37,
                                len37 * (4 * ::core::mem::size_of::<*const u8>()),
                                ::core::mem::size_of::<*const u8>(),
                            );
                            let l38 = *arg0
                                .add(20 * ::core::mem::size_of::<*const u8>())
                                .cast::<*mut u8>();
                            let l39 = *arg0
                                .add(21 * ::core::mem::size_of::<*const u8>())
                                .cast::<usize>();
                            let base47 = l38;
                            let len47 = l39;
                            let mut result47 = _rt::Vec::with_capacity(len47);
                            for i in 0..len47 {
                                let base = base47
                                    .add(i * (5 * ::core::mem::size_of::<*const u8>()));
                                let e47 = {
                                    let l40 = *base.add(0).cast::<*mut u8>();
                                    let l41 = *base
                                        .add(::core::mem::size_of::<*const u8>())
                                        .cast::<usize>();
                                    let len42 = l41;
                                    let bytes42 = _rt::Vec::from_raw_parts(
                                        l40.cast(),
                                        len42,
                                        len42,
                                    );
                                    let l43 = i32::from(
                                        *base
                                            .add(2 * ::core::mem::size_of::<*const u8>())
                                            .cast::<u8>(),
                                    );
                                    Requested {
                                        name: _rt::string_lift(bytes42),
                                        value: match l43 {
                                            0 => None,
                                            1 => {
                                                let e = {
                                                    let l44 = *base
                                                        .add(3 * ::core::mem::size_of::<*const u8>())
                                                        .cast::<*mut u8>();
                                                    let l45 = *base
                                                        .add(4 * ::core::mem::size_of::<*const u8>())
                                                        .cast::<usize>();
                                                    let len46 = l45;
                                                    let bytes46 = _rt::Vec::from_raw_parts(
                                                        l44.cast(),
                                                        len46,
                                                        len46,
                                                    );
                                                    _rt::string_lift(bytes46)
                                                };
                                                Some(e)
                                            }
                                            _ => _rt::invalid_enum_discriminant(),
                                        },
                                    }
                                };
                                result47.push(e47);
                            }
                            _rt::cabi_dealloc(
                                base47,
                                len47 * (5 * ::core::mem::size_of::<*const u8>()),
                                ::core::mem::size_of::<*const u8>(),
                            );
                            T_::filter(Question {
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
                                declared: result37,
                                requested: result47,
                            })
                        };
                        _rt::cabi_dealloc(
                            arg0,
                            22 * ::core::mem::size_of::<*const u8>(),
                            ::core::mem::size_of::<*const u8>(),
                        );
                        let ptr49 = (&raw mut _RET_AREA.0).cast::<u8>();
                        let Verdict {
                            answer: answer50,
                            reason: reason50,
                            trace: trace50,
                        } = result48;
                        match answer50 {
                            Answer::Abstain => {
                                *ptr49.add(0).cast::<u8>() = (0i32) as u8;
                            }
                            Answer::Reject => {
                                *ptr49.add(0).cast::<u8>() = (1i32) as u8;
                            }
                            Answer::Rules(e) => {
                                *ptr49.add(0).cast::<u8>() = (2i32) as u8;
                                let Rules { named: named51, rest: rest51 } = e;
                                let vec55 = named51;
                                let len55 = vec55.len();
                                let layout55 = _rt::alloc::Layout::from_size_align(
                                        vec55.len() * (5 * ::core::mem::size_of::<*const u8>()),
                                        ::core::mem::size_of::<*const u8>(),
                                    )
                                    .unwrap();
                                let (result55, _cleanup55) = wit_bindgen::rt::Cleanup::new(
                                    layout55,
                                );
                                if let Some(cleanup) = _cleanup55 {
                                    cleanup.forget();
                                }
                                for (i, e) in vec55.into_iter().enumerate() {
                                    let base = result55
                                        .add(i * (5 * ::core::mem::size_of::<*const u8>()));
                                    {
                                        let Rule { name: name52, decision: decision52 } = e;
                                        let vec53 = (name52.into_bytes()).into_boxed_slice();
                                        let ptr53 = vec53.as_ptr().cast::<u8>();
                                        let len53 = vec53.len();
                                        ::core::mem::forget(vec53);
                                        *base
                                            .add(::core::mem::size_of::<*const u8>())
                                            .cast::<usize>() = len53;
                                        *base.add(0).cast::<*mut u8>() = ptr53.cast_mut();
                                        match decision52 {
                                            Decision::Allow => {
                                                *base
                                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<u8>() = (0i32) as u8;
                                            }
                                            Decision::Drop => {
                                                *base
                                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<u8>() = (1i32) as u8;
                                            }
                                            Decision::Set(e) => {
                                                *base
                                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<u8>() = (2i32) as u8;
                                                let vec54 = (e.into_bytes()).into_boxed_slice();
                                                let ptr54 = vec54.as_ptr().cast::<u8>();
                                                let len54 = vec54.len();
                                                ::core::mem::forget(vec54);
                                                *base
                                                    .add(4 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<usize>() = len54;
                                                *base
                                                    .add(3 * ::core::mem::size_of::<*const u8>())
                                                    .cast::<*mut u8>() = ptr54.cast_mut();
                                            }
                                        }
                                    }
                                }
                                *ptr49
                                    .add(2 * ::core::mem::size_of::<*const u8>())
                                    .cast::<usize>() = len55;
                                *ptr49
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<*mut u8>() = result55;
                                *ptr49
                                    .add(3 * ::core::mem::size_of::<*const u8>())
                                    .cast::<u8>() = (rest51.clone() as i32) as u8;
                            }
                        }
                        let vec56 = (reason50.into_bytes()).into_boxed_slice();
                        let ptr56 = vec56.as_ptr().cast::<u8>();
                        let len56 = vec56.len();
                        ::core::mem::forget(vec56);
                        *ptr49
                            .add(5 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>() = len56;
                        *ptr49
                            .add(4 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>() = ptr56.cast_mut();
                        let vec58 = trace50;
                        let len58 = vec58.len();
                        let layout58 = _rt::alloc::Layout::from_size_align(
                                vec58.len() * (2 * ::core::mem::size_of::<*const u8>()),
                                ::core::mem::size_of::<*const u8>(),
                            )
                            .unwrap();
                        let (result58, _cleanup58) = wit_bindgen::rt::Cleanup::new(
                            layout58,
                        );
                        if let Some(cleanup) = _cleanup58 {
                            cleanup.forget();
                        }
                        for (i, e) in vec58.into_iter().enumerate() {
                            let base = result58
                                .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                            {
                                let vec57 = (e.into_bytes()).into_boxed_slice();
                                let ptr57 = vec57.as_ptr().cast::<u8>();
                                let len57 = vec57.len();
                                ::core::mem::forget(vec57);
                                *base
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<usize>() = len57;
                                *base.add(0).cast::<*mut u8>() = ptr57.cast_mut();
                            }
                        }
                        *ptr49
                            .add(7 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>() = len58;
                        *ptr49
                            .add(6 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>() = result58;
                        ptr49
                    }
                }
                #[doc(hidden)]
                #[allow(non_snake_case)]
                pub unsafe fn __post_return_filter<T_: Guest>(arg0: *mut u8) {
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
                                            1 => {}
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
                            .add(4 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>();
                        let l10 = *arg0
                            .add(5 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>();
                        _rt::cabi_dealloc(l9, l10, 1);
                        let l11 = *arg0
                            .add(6 * ::core::mem::size_of::<*const u8>())
                            .cast::<*mut u8>();
                        let l12 = *arg0
                            .add(7 * ::core::mem::size_of::<*const u8>())
                            .cast::<usize>();
                        let base15 = l11;
                        let len15 = l12;
                        for i in 0..len15 {
                            let base = base15
                                .add(i * (2 * ::core::mem::size_of::<*const u8>()));
                            {
                                let l13 = *base.add(0).cast::<*mut u8>();
                                let l14 = *base
                                    .add(::core::mem::size_of::<*const u8>())
                                    .cast::<usize>();
                                _rt::cabi_dealloc(l13, l14, 1);
                            }
                        }
                        _rt::cabi_dealloc(
                            base15,
                            len15 * (2 * ::core::mem::size_of::<*const u8>()),
                            ::core::mem::size_of::<*const u8>(),
                        );
                    }
                }
                pub trait Guest {
                    /// Asked once for each job, before its build is started. Over all policies: reject before drop before set before
                    /// allow.
                    #[allow(async_fn_in_trait)]
                    fn filter(question: Question) -> Verdict;
                }
                #[doc(hidden)]
                #[macro_export]
                macro_rules! __export_layshaft_policy_parameters_0_1_0_cabi {
                    ($ty:ident with_types_in $($path_to_types:tt)*) => {
                        const _ : () = { #[unsafe (export_name =
                        "layshaft:policy/parameters@0.1.0#filter")] unsafe extern "C" fn
                        export_filter(arg0 : * mut u8,) -> * mut u8 { unsafe {
                        $($path_to_types)*:: _export_filter_cabi::<$ty > (arg0) } }
                        #[unsafe (export_name =
                        "cabi_post_layshaft:policy/parameters@0.1.0#filter")] unsafe
                        extern "C" fn _post_return_filter(arg0 : * mut u8,) { unsafe {
                        $($path_to_types)*:: __post_return_filter::<$ty > (arg0) } } };
                    };
                }
                #[doc(hidden)]
                pub use __export_layshaft_policy_parameters_0_1_0_cabi;
                #[cfg_attr(target_pointer_width = "64", repr(align(8)))]
                #[cfg_attr(target_pointer_width = "32", repr(align(4)))]
                struct _RetArea(
                    [::core::mem::MaybeUninit<
                        u8,
                    >; 8 * ::core::mem::size_of::<*const u8>()],
                );
                static mut _RET_AREA: _RetArea = _RetArea(
                    [::core::mem::MaybeUninit::uninit(); 8
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
/// # macro_rules! export_parameters{ ($($t:tt)*) => (); }
/// # trait Guest {}
/// struct MyType;
///
/// impl Guest for MyType {
///     // ...
/// }
///
/// export_parameters!(MyType);
/// ```
#[allow(unused_macros)]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_parameters_impl {
    ($ty:ident) => {
        $crate::bindings::parameters::export_parameters!($ty with_types_in
        $crate::bindings::parameters);
    };
    ($ty:ident with_types_in $($path_to_types_root:tt)*) => {
        $($path_to_types_root)*::
        exports::layshaft::policy::parameters::__export_layshaft_policy_parameters_0_1_0_cabi!($ty
        with_types_in $($path_to_types_root)*:: exports::layshaft::policy::parameters);
        const _ : () = { #[cfg(target_arch = "wasm32")] #[unsafe (link_section =
        "component-type:wit-bindgen:0.61.1:layshaft:sdk:parameters:imports and exports")]
        #[doc(hidden)] #[allow(clippy::octal_escapes)] pub static
        __WIT_BINDGEN_COMPONENT_TYPE : [u8; 746] = *
        b"\
\0asm\x0d\0\x01\0\0\x19\x16wit-component-encoding\x04\0\x07\xe9\x04\x01A\x02\x01\
A\x02\x01B\x1f\x01m\x05\x09freestyle\x05maven\x06matrix\x08pipeline\x05other\x04\
\0\x0cproject-kind\x03\0\0\x01r\x03\x09full-names\x0ashort-names\x04kind\x01\x04\
\0\x07project\x03\0\x02\x01ks\x01ps\x01r\x04\x08built-in\x7f\x09exclusive\x7f\x04\
name\x04\x06labels\x05\x04\0\x0anode-class\x03\0\x06\x01r\x02\x04names\x04kinds\x04\
\0\x08declared\x03\0\x08\x01r\x02\x04names\x05value\x04\x04\0\x09requested\x03\0\
\x0a\x01p\x09\x01p\x0b\x01r\x07\x0acontrollers\x07project\x03\x08functions\x05la\
bel\x04\x04node\x07\x08declared\x0c\x09requested\x0d\x04\0\x08question\x03\0\x0e\
\x01q\x03\x05allow\0\0\x04drop\0\0\x03set\x01s\0\x04\0\x08decision\x03\0\x10\x01\
r\x02\x04names\x08decision\x11\x04\0\x04rule\x03\0\x12\x01m\x02\x04open\x06close\
d\x04\0\x04rest\x03\0\x14\x01p\x13\x01r\x02\x05named\x16\x04rest\x15\x04\0\x05ru\
les\x03\0\x17\x01q\x03\x07abstain\0\0\x06reject\0\0\x05rules\x01\x18\0\x04\0\x06\
answer\x03\0\x19\x01r\x03\x06answer\x1a\x06reasons\x05trace\x05\x04\0\x07verdict\
\x03\0\x1b\x01@\x01\x08question\x0f\0\x1c\x04\0\x06filter\x01\x1d\x04\0\x20laysh\
aft:policy/parameters@0.1.0\x05\0\x04\0\x17layshaft:sdk/parameters\x04\0\x0b\x10\
\x01\0\x0aparameters\x03\0\0\0G\x09producers\x01\x0cprocessed-by\x02\x0dwit-comp\
onent\x070.258.3\x10wit-bindgen-rust\x060.61.1";
        };
    };
}
#[doc(inline)]
pub use __export_parameters_impl as export_parameters;
#[cfg(target_arch = "wasm32")]
#[unsafe(
    link_section = "component-type:wit-bindgen:0.61.1:layshaft:sdk:parameters-with-all-of-its-exports-removed:encoded world"
)]
#[doc(hidden)]
#[allow(clippy::octal_escapes)]
pub static __WIT_BINDGEN_COMPONENT_TYPE: [u8; 226] = *b"\
\0asm\x0d\0\x01\0\0\x19\x16wit-component-encoding\x04\0\x07B\x01A\x02\x01A\0\x04\
\07layshaft:sdk/parameters-with-all-of-its-exports-removed\x04\0\x0b0\x01\0*para\
meters-with-all-of-its-exports-removed\x03\0\0\0G\x09producers\x01\x0cprocessed-\
by\x02\x0dwit-component\x070.258.3\x10wit-bindgen-rust\x060.61.1";
#[inline(never)]
#[doc(hidden)]
pub fn __link_custom_section_describing_imports() {
    wit_bindgen::rt::maybe_link_cabi_realloc();
}
