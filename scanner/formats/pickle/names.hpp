#pragma once
// Names: what an imported name means. Exact names that honest models use are allowed, each with the
// shape that its call must have; names with a known harmful effect are dangerous; the rest is
// unknown: a callable of Python or of a usual package (a gadget that is there wherever models are
// opened), or somebody's private class. The tables are data, one file a family.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace hubgate::pickle {

/// What an allowed name may be used for.
enum class Use : std::uint8_t {
  reference,     ///< named, never called: dtypes, storage types, functions held as data
  value,         ///< called with plain data; no state
  object,        ///< a class: called with plain data, state a dict or what it takes
  estimator,     ///< the same, and its state may hold references to allowed names
  factory,       ///< collections.defaultdict
  ordered_dict,  ///< collections.OrderedDict and Counter
  latin1,        ///< _codecs.encode(text, 'latin1')
  reconstructor, ///< copyreg._reconstructor(class, object, None)
  newobj,        ///< copyreg.__newobj__(class, …)
  base,          ///< builtins.object: only as a base
  load_bytes,    ///< torch.storage._load_from_bytes: its bytes are a pickle of their own
  tensor,        ///< torch._utils._rebuild_tensor and its kin: storage first, hooks empty
  from_type,     ///< torch._tensor._rebuild_from_type_v2(function, class, args, state)
  reconstruct,   ///< numpy…_reconstruct(class, shape, typecode)
  array_wrapper, ///< joblib's NumpyArrayWrapper: raw bytes follow its BUILD
  module_class,  ///< torch.nn and the like: what it does is up to the installed package
  getter,        ///< builtins.getattr(allowed class, plain name)
};

enum class Standing : std::uint8_t {
  allowed,
  dangerous,
  unknown_call,  ///< of Python or a usual package
  unknown_class, ///< of anybody
};

/// One row of an allowlist: exact module, exact names separated by blanks.
struct Allowed {
  std::string_view module;
  std::string_view names;
  Use use;
};

/// The effect groups of dangerous names, for severity and explanation.
struct Danger {
  std::string_view module; ///< this module, and with `*` its submodules
  std::string_view names;  ///< "*": all, of submodules too; else first components of the name
  std::string_view effect; ///< what it does: "runs code or a process"
};

struct Verdict {
  Standing standing = Standing::unknown_class;
  Use use = Use::reference; ///< when allowed
  std::string_view effect;  ///< when dangerous
};

/// Judges `module`.`name` after map_python2(). Dotted names are judged at every split.
Verdict judge_name(std::string_view module, std::string_view name);

/// Applies CPython's fix_imports tables (protocols 0 to 2).
void map_python2(std::string& module, std::string& name);

/// Whether the top-level package of `module` comes with Python or is usual where models are opened.
bool is_usual_package(std::string_view module);

// The tables.
std::span<const Danger> dangers();
std::span<const Allowed> allowed_python();
std::span<const Allowed> allowed_numpy();
std::span<const Allowed> allowed_torch();
std::span<const Allowed> allowed_sklearn();
std::span<const Allowed> allowed_pandas();
std::span<const Allowed> allowed_boosting();
std::span<const Allowed> allowed_transformers();
std::span<const Allowed> allowed_statsmodels();
std::span<const Allowed> allowed_text();

/// Version of all of them together: changes with every change of the data.
inline constexpr std::string_view k_names_version = "2026-11-21.10";

} // namespace hubgate::pickle
