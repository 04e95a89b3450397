// The judge: what a call, its arguments and a state mean. An allowed name is allowed in the shape
// only in which honest pickles use it; everything else is a finding, with the call as evidence.
#include "scanner/formats/pickle/machine.hpp"
#include "scanner/generic/text_value.hpp"

#include <array>

namespace hubgate::pickle {
namespace {

/// Findings of one name: the first ones convince, millions would only bury them.
constexpr std::uint32_t k_max_reports = 50;
/// A callable shows in everything that encloses it; the innermost holders come first.
constexpr std::uint32_t k_max_callable_states = 3;

bool one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

} // namespace

Word Machine::call(Word callee, Word args, Word kwargs, How how, At at) {
  ++calls_;
  const bool named = tag_of(callee) == Tag::global;
  const std::uint64_t position = heap_.allocate(5);
  Word* block = heap_.at(position);
  block[0] = Heap::header(0, 0, 1.0f);
  block[1] = 0;
  block[2] = callee;
  block[3] = args;
  block[4] = 0;
  const Word object = make_word(Tag::object, position, named ? aux_of(callee) : k_max_aux);
  // partial() of what only makes values is a value itself, in whatever holds it.
  const bool bad = (flags_of(callee) & k_has_bad_global) != 0 &&
                   !(named && is_partial(name_at(callee)) && size_of(args) == 1 &&
                     is_plain_function(item_of(args, 0)));
  heap_.taint(position, static_cast<Flags>(flags_of(args) | flags_of(kwargs) |
                                           (bad ? k_has_bad_global : Flags{})));
  judge_call(callee, args, object, how, at);
  if (program_) {
    program_->on_call(object, kwargs, how == How::newobj || how == How::newobj_ex, at.offset);
    touched_ = true;
  }
  if (tag_of(kwargs) == Tag::dict && size_of(kwargs) != 0 && named &&
      name_at(callee).verdict.standing == Standing::allowed &&
      (flags_of(kwargs) & k_has_bad_global) != 0)
    shape(object, at, "keyword arguments hold a function that is not allowed");
  if (observer_ != nullptr) {
    observer_->on_call(view(object), at.offset);
    touched_ = true;
  }
  // getattr(allowed class, 'Nested') is how protocols 2 and 3 spell a nested class.
  if (named && name_at(callee).verdict.standing == Standing::allowed &&
      name_at(callee).verdict.use == Use::getter) {
    const Word owner = item_of(args, 0);
    const auto attribute = text_of(item_of(args, 1), 256);
    if (tag_of(owner) == Tag::global && attribute && size_of(args) == 2)
      return import(name_at(owner).module, name_at(owner).name + "." + *attribute, at);
  }
  return object;
}

bool Machine::is_partial(const Name& name) {
  return name.name == "partial" && one_of(name.module, {"functools", "_functools"});
}

// What may be called later with any arguments: it makes a value and does nothing else.
bool Machine::is_plain_function(Word w) const {
  if (tag_of(w) != Tag::global) return false;
  const Name& name = name_at(w);
  return name.verdict.standing == Standing::allowed &&
         (name.verdict.use == Use::value || name.verdict.use == Use::object ||
          name.verdict.use == Use::estimator || name.verdict.use == Use::reference);
}

void Machine::judge_call(Word callee, Word args, Word object, How how, At at) {
  if (tag_of(callee) != Tag::global) {
    if (tag_of(callee) == Tag::unknown && (broken_memo_ || memo_.lossy())) {
      gap(memo_.lossy() ? Reason::budget : Reason::malformed, at.offset,
          "a call of something that the memo does not hold");
      return;
    }
    // A constant can't be called: every loader ends here.
    if (tag_of(callee) >= Tag::none && tag_of(callee) <= Tag::dict) {
      find(R::computed_callee, at, render(object, 350), {.severity = Severity::suspicious});
      return;
    }
    did_harm_ = true;
    find(R::computed_callee, at, render(object, 350));
    recover_code(object, at);
    return;
  }
  Name& name = names_[aux_of(callee)];
  switch (name.verdict.standing) {
  case Standing::allowed:
    check_shape(name, args, object, how, at);
    break;
  case Standing::dangerous:
    did_harm_ = true;
    if (name.reports++ < k_max_reports) {
      // Partial application of something harmless is common in old model code.
      const Word inner = item_of(args, 0);
      const bool adapter = is_partial(name) && tag_of(inner) == Tag::global &&
                           name_at(inner).verdict.standing != Standing::dangerous &&
                           (flags_of(args) & k_has_bad_global) == 0;
      if (is_partial(name) && size_of(args) == 1 && is_plain_function(inner)) return;
      if (adapter)
        find(R::argument_shape, at, render(object, 350));
      else
        find(R::dangerous_call, at, render(object, 350));
      scan_nested_arguments(args);
      recover_code(object, at);
    }
    break;
  case Standing::unknown_call:
    did_harm_ = true;
    if (name.reports++ < k_max_reports) find(R::unknown_call, at, render(object, 350));
    break;
  case Standing::unknown_class:
    if (name.reports++ < k_max_reports) find(R::unknown_class, at, render(object, 350));
    break;
  }
}

void Machine::shape(Word object, At at, std::string_view why, Severity severity) {
  if (severity == Severity::malicious) did_harm_ = true;
  find(R::argument_shape, at, render(object, 280) + ": " + std::string(why),
       {.severity = severity});
}

bool Machine::is_allowed_class(Word w) const {
  return tag_of(w) == Tag::global && name_at(w).verdict.standing == Standing::allowed;
}

void Machine::check_shape(const Name& name, Word args, Word object, How how, At at) {
  const std::size_t count = size_of(args);
  const auto arg = [&](std::size_t i) { return item_of(args, i); };
  switch (name.verdict.use) {
  case Use::reference:
    // Types such as torch.float16 are named; storages are built by old checkpoints.
    if (how == How::reduce && (flags_of(args) & k_has_bad_global) != 0)
      shape(object, at, "a type that is only named is called with a function");
    break;
  case Use::value:
    if ((flags_of(args) & k_has_bad_global) != 0)
      shape(object, at, "called with a function that is not allowed");
    // bytes(n) and bytearray(n) make n zeros.
    if (one_of(name.name, {"bytes", "bytearray"}) &&
        integer_of(arg(0)).value_or(0) > (std::int64_t{1} << 31))
      find(R::number_size, at, render(object, 120));
    if (name.module == "builtins" && name.name == "type" && count != 1)
      shape(object, at, "type() makes a class", Severity::malicious);
    break;
  case Use::object:
  case Use::estimator:
    if ((flags_of(args) & k_has_bad_global) != 0) find(R::callable_state, at, render(object, 300));
    break;
  case Use::module_class:
    // Torch's own class by its exact name: its hooks and what its state names are judged apart.
    if (names_[aux_of(object)].reports++ < k_max_reports)
      find(R::unknown_class, at, render(object, 300),
           {.severity = Severity::informational, .techniques = "PKL-066"});
    break;
  case Use::factory: {
    // defaultdict(factory): the factory runs at the first look-up of a key that is not there.
    const Word factory = arg(0);
    const bool plain =
        count == 0 || tag_of(factory) == Tag::none ||
        (tag_of(factory) == Tag::global &&
         (name_at(factory).module == "builtins" || name_at(factory).module == "collections") &&
         one_of(name_at(factory).name, {"list", "dict", "set", "int", "float", "str", "tuple",
                                        "bool", "OrderedDict", "Counter", "deque", "frozenset"}));
    if (!plain) shape(object, at, "the factory runs when a key is looked up", Severity::malicious);
    break;
  }
  case Use::ordered_dict:
    if ((flags_of(args) & k_has_bad_global) != 0)
      shape(object, at, "filled from a function that is not allowed");
    break;
  case Use::latin1: {
    const auto encoding = text_of(arg(1), 32);
    const bool fine = count == 2 && encoding && one_of(*encoding, {"latin1", "latin-1"});
    if (!fine) shape(object, at, "encoded otherwise than as Latin-1");
    break;
  }
  case Use::reconstructor: {
    const bool fine = count == 3 && tag_of(arg(0)) == Tag::global && tag_of(arg(1)) == Tag::global;
    if (!fine) {
      shape(object, at, "not (class, base, state)", Severity::malicious);
      break;
    }
    // What is built is an instance of the class.
    judge_call(arg(0), arg(2), object, How::newobj, at);
    break;
  }
  case Use::newobj:
    if (count == 0 || tag_of(arg(0)) != Tag::global)
      shape(object, at, "not (class, arguments…)", Severity::malicious);
    else
      judge_call(arg(0), args, object, How::newobj, at);
    break;
  case Use::base:
    if (count != 0) shape(object, at, "object() takes no arguments");
    break;
  case Use::load_bytes:
    if (count != 1 || tag_of(arg(0)) != Tag::bytes) {
      // Protocol 2 writes bytes as _codecs.encode(text, 'latin1').
      const bool encoded = tag_of(arg(0)) == Tag::object &&
                           tag_of(callee_of(arg(0))) == Tag::global &&
                           name_at(callee_of(arg(0))).verdict.use == Use::latin1;
      if (!encoded || count != 1)
        shape(object, at, "the bytes that it unpickles are not there", Severity::malicious);
      else
        gap(Reason::unsupported, at.offset, "a nested pickle written as Latin-1 text");
    }
    scan_nested_arguments(args);
    break;
  case Use::tensor:
    check_tensor(args, object, at);
    break;
  case Use::from_type:
    if (count < 2 || tag_of(arg(0)) != Tag::global ||
        name_at(arg(0)).verdict.standing != Standing::allowed ||
        name_at(arg(0)).verdict.use != Use::tensor)
      shape(object, at, "its first argument is called and rebuilds no tensor", Severity::malicious);
    else if (!is_allowed_class(arg(1)))
      shape(object, at, "the type is not known");
    break;
  case Use::reconstruct:
    if (tag_of(arg(0)) != Tag::global)
      shape(object, at, "its first argument is no class", Severity::malicious);
    break;
  case Use::getter: {
    const auto attribute = text_of(arg(1), 256);
    const bool fine = count == 2 && tag_of(arg(0)) == Tag::global && attribute &&
                      !attribute->starts_with('_') && attribute->find('.') == std::string::npos &&
                      name_at(arg(0)).verdict.standing != Standing::dangerous &&
                      name_at(arg(0)).verdict.standing != Standing::unknown_call &&
                      name_at(arg(0)).name.find("Module") == std::string::npos;
    if (!fine) {
      did_harm_ = true;
      find(R::dangerous_call, at, render(object, 350));
    }
    break;
  }
  case Use::array_wrapper:
    break;
  }
}

bool Machine::is_torch_storage(Word id) const {
  // ("storage", storage type, key, location, numel[, view metadata]): torch/serialization.py
  if (tag_of(id) != Tag::tuple || size_of(id) < 5 || size_of(id) > 6) return false;
  const Word type = item_of(id, 1);
  return text_of(item_of(id, 0), 16) == "storage" && is_allowed_class(type) &&
         name_at(type).verdict.use == Use::reference && kind_of(item_of(id, 2)) == Kind::text &&
         kind_of(item_of(id, 3)) == Kind::text && integer_of(item_of(id, 4)).has_value();
}

void Machine::check_tensor(Word args, Word object, At at) {
  const Name& name = name_at(callee_of(object));
  if ((flags_of(args) & k_has_bad_global) != 0)
    shape(object, at, "a tensor made with a function that is not allowed");
  if (name.name.starts_with("_rebuild_parameter")) {
    check_hooks(item_of(args, 2), name.name, at);
    return;
  }
  if (name.name != "_rebuild_tensor_v2" && name.name != "_rebuild_tensor" &&
      name.name != "_rebuild_tensor_v3")
    return;
  const Word storage = item_of(args, 0);
  if (tag_of(storage) != Tag::persistent && tag_of(storage) != Tag::object &&
      tag_of(storage) != Tag::unknown) {
    shape(object, at, "its storage is none");
    return;
  }
  if (name.name != "_rebuild_tensor" && size_of(args) >= 6)
    check_hooks(item_of(args, 5), name.name, at);

  // offset + Σ (size - 1) * stride, in elements, must lie inside the storage.
  const Word id = args_of(storage);
  const auto offset = integer_of(item_of(args, 1));
  const Word size = item_of(args, 2);
  const Word stride = item_of(args, 3);
  if (tag_of(storage) != Tag::persistent || !is_torch_storage(id) || !offset ||
      name.name == "_rebuild_tensor_v3")
    return;
  const auto numel = integer_of(item_of(id, 4));
  if (!numel || kept_of(size) != size_of(size) || kept_of(size) != kept_of(stride)) return;
  // Wide enough for what checked factors of 2^62 can make of it.
  __extension__ using Wide = __int128;
  Wide last = *offset;
  bool empty = false;
  bool negative = *offset < 0;
  for (std::size_t i = 0; i < kept_of(size); ++i) {
    const auto n = integer_of(item_of(size, i));
    const auto step = integer_of(item_of(stride, i));
    if (!n || !step) return;
    if (*n < 0 || *step < 0) negative = true;
    if (*n == 0) empty = true;
    last += Wide{*n - 1} * Wide{*step};
  }
  if (negative || (!empty && last >= *numel)) {
    did_harm_ = true;
    find(R::tensor_extent, at,
         render(object, 280) + ": beyond the " + std::to_string(*numel) + " elements stored");
  }
}

// Hooks are functions that torch calls later: an honest checkpoint has an empty OrderedDict.
void Machine::check_hooks(Word hooks, std::string_view what, At at) {
  const Tag tag = tag_of(hooks);
  if (tag == Tag::none || tag == Tag::unknown) return;
  if ((tag == Tag::dict || tag == Tag::object) && size_of(hooks) == 0) {
    const Word args = args_of(hooks);
    if (tag == Tag::dict || size_of(args) == 0 || size_of(item_of(args, 0)) == 0) return;
  }
  if (tag == Tag::yes || tag == Tag::no) return;
  find(R::hooks, at, std::string(what) + ": hooks " + render(hooks, 250));
}

void Machine::check_state(Word object, Word state, At at) {
  const Word callee = callee_of(object);
  if (tag_of(callee) != Tag::global) return; // a finding by itself
  const Name& name = name_at(callee);
  // (function, positional, named, attributes): what functools.partial writes of itself.
  if (is_partial(name) && tag_of(state) == Tag::tuple && size_of(state) == 4 &&
      is_plain_function(item_of(state, 0)) &&
      ((flags_of(item_of(state, 1)) | flags_of(item_of(state, 2)) | flags_of(item_of(state, 3))) &
       k_has_bad_global) == 0)
    return;
  if (name.verdict.standing == Standing::dangerous) {
    find(R::state_injection, at, render(object, 150) + ".__setstate__(" + render(state, 150) + ")");
    return;
  }
  if (name.verdict.standing == Standing::allowed) {
    switch (name.verdict.use) {
    case Use::latin1:
    case Use::load_bytes:
    case Use::base:
    case Use::getter:
      did_harm_ = true;
      find(R::state_injection, at,
           render(object, 150) + ".__setstate__(" + render(state, 150) + ")");
      return;
    default:
      break;
    }
    if ((flags_of(state) & k_has_bad_global) != 0 && name.verdict.use != Use::module_class &&
        callable_states_++ < k_max_callable_states)
      find(R::callable_state, at, render(object, 120) + " with " + render(state, 200));
  }
  if (name.name == "TrainingArguments" && view(state).get("push_to_hub").integer() == 1)
    find(R::upload_state, at, name_of(object) + ".push_to_hub = True");
  if (name.name == "Tree" && name.module.starts_with("sklearn.tree."))
    check_tree(object, state, at);
  if (tag_of(state) == Tag::dict) {
    check_state_dict(object, state, false, at);
  } else if (tag_of(state) == Tag::tuple && size_of(state) == 2) {
    // (dict of attributes or None, dict of slots): the second is written with setattr().
    if (tag_of(item_of(state, 0)) == Tag::dict)
      check_state_dict(object, item_of(state, 0), false, at);
    if (tag_of(item_of(state, 1)) == Tag::dict)
      check_state_dict(object, item_of(state, 1), true, at);
  }
}

// statsmodels hands the formula of a model to patsy again when it is unpickled, and patsy evaluates
// each term as Python. Honest terms call functions of numpy and patsy by plain names.
void Machine::check_formula(Word object, Word value, At at) {
  const auto text = text_of(value, 4096);
  if (!text) return;
  const bool internals = text->find("__") != std::string::npos;
  const auto hit = find_script(*text);
  if (!internals && !hit) return;
  did_harm_ = true;
  find(R::dangerous_call, at, name_of(object) + " evaluates the formula " + *text,
       {std::nullopt, std::nullopt, {}, "JNP-022", {}});
}

void Machine::check_state_dict(Word object, Word dict, bool slots, At at) {
  const std::size_t kept = kept_of(dict);
  for (std::size_t i = 0; i + 1 < kept; i += 2) {
    const auto key = text_of(item_of(dict, i), 64);
    if (key && *key == "formula") check_formula(object, item_of(dict, i + 1), at);
    if (!key || key->empty() || key->front() != '_') continue;
    if (one_of(*key, {"__class__", "__setstate__", "__reduce__", "__reduce_ex__", "__getattr__",
                      "__getattribute__", "__del__", "__call__", "__init__", "__new__",
                      "__globals__", "__code__"}) ||
        (slots && one_of(*key, {"__dict__"}))) {
      did_harm_ = true;
      find(R::state_injection, at,
           name_of(object) + "." + *key + " = " + render(item_of(dict, i + 1), 200));
    } else if (key->ends_with("_hooks")) {
      check_hooks(item_of(dict, i + 1), name_of(object) + "." + *key, at);
    }
  }
}

} // namespace hubgate::pickle
