#include "scanner/formats/keras_config/names.hpp"

#include "scanner/formats/pickle/names.hpp"

#include <algorithm>
#include <array>

namespace hubgate::keras {
namespace {

bool has(std::string_view words, std::string_view word) {
  if (word.empty() || word.find(' ') != std::string_view::npos) return false;
  return words.find(" " + std::string(word) + " ") != std::string_view::npos;
}

// `module` is `package` or below it.
bool is_below(std::string_view module, std::string_view package) {
  return module.starts_with(package) &&
         (module.size() == package.size() || module[package.size()] == '.');
}

constexpr std::array<std::string_view, 6> k_core_packages{"keras",
                                                          "tf_keras",
                                                          "keras_core",
                                                          "tensorflow.keras",
                                                          "tensorflow.python.keras",
                                                          "tensorflow_core.keras"};
constexpr std::array<std::string_view, 4> k_hub_packages{"keras_hub", "keras_nlp", "keras_cv",
                                                         "keras_tuner"};

bool is_core(std::string_view module) {
  return std::any_of(k_core_packages.begin(), k_core_packages.end(),
                     [&](std::string_view package) { return is_below(module, package); });
}

bool is_hub(std::string_view module) {
  return std::any_of(k_hub_packages.begin(), k_hub_packages.end(),
                     [&](std::string_view package) { return is_below(module, package); });
}

// The part of Keras that a module belongs to: "utils" of keras.utils, keras.src.utils.file_utils.
std::string_view part_of(std::string_view module) {
  for (const std::string_view package: k_core_packages) {
    if (!is_below(module, package)) continue;
    module.remove_prefix(package.size());
    for (const std::string_view layer: {".api", ".src", "._tf_keras", ".keras"})
      if (is_below(module, layer)) module.remove_prefix(layer.size());
    if (module.empty()) return {};
    module.remove_prefix(1);
    return module.substr(0, module.find('.'));
  }
  return {};
}

// Parts of Keras that no model is made of; what is called there acts on files and the network.
constexpr std::array<std::string_view, 14> k_effects{
    "utils",         "visualization", "saving",       "config", "models",
    "preprocessing", "datasets",      "callbacks",    "export", "trainers",
    "wrappers",      "applications",  "distribution", "legacy"};
constexpr std::string_view k_dangerous_functions =
    " get_file load_model load_img save_img save_model load_weights plot_model plot_image_gallery "
    "plot_bounding_box_gallery plot_segmentation_mask_gallery enable_unsafe_deserialization "
    "disable_interactive_logging get_custom_objects custom_object_scope deserialize_keras_object "
    "image_dataset_from_directory text_dataset_from_directory audio_dataset_from_directory "
    "pad_sequences model_from_json model_from_yaml model_from_config export_model extract_archive "
    "extract_open_archive run_session set_backend ";

// Packages on which Keras itself stands: their classes appear in configurations of Keras 2.
constexpr std::string_view k_tensorflow_data =
    " TensorShape TypeSpec TensorSpec RaggedTensorSpec SparseTensorSpec DType Policy "
    "AutoCastVariable ListWrapper _DictWrapper ";

// Of TensorFlow's API: parts that compute, and names of its root.
constexpr std::string_view k_symbol_parts =
    " math nn linalg image signal strings bitwise random sets ragged sparse quantization "
    "audio dtypes __operators__ experimental.numpy keras.backend keras.activations ";
constexpr std::string_view k_symbol_names =
    " abs acos acosh add add_n argmax argmin argsort as_string asin asinh atan atan2 atanh "
    "batch_to_space bitcast boolean_mask broadcast_to broadcast_static_shape case cast "
    "clip_by_global_norm clip_by_norm clip_by_value complex concat constant convert_to_tensor cos "
    "cosh cumsum custom_gradient device divide dynamic_partition dynamic_stitch edit_distance eig "
    "eigvals einsum ensure_shape equal exp expand_dims extract_volume_patches eye fill fingerprint "
    "floor gather gather_nd greater greater_equal histogram_fixed_width identity identity_n "
    "invert_permutation is_tensor less less_equal linspace logical_and logical_not logical_or "
    "matmul matrix_square_root maximum meshgrid minimum multiply negative no_gradient no_op norm "
    "not_equal one_hot ones ones_like pad parallel_stack pow range rank realdiv reduce_all "
    "reduce_any reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod reduce_sum repeat "
    "required_space_to_batch_paddings reshape reverse reverse_sequence roll round saturate_cast "
    "scalar_mul scatter_nd searchsorted sequence_mask shape shape_n sigmoid sign sin sinh size "
    "slice sort space_to_batch space_to_batch_nd split sqrt square squeeze stack stop_gradient "
    "strided_slice subtract switch_case tan tanh tensor_scatter_nd_add tensor_scatter_nd_max "
    "tensor_scatter_nd_min tensor_scatter_nd_sub tensor_scatter_nd_update tensordot tile timestamp "
    "transpose truediv truncatediv truncatemod tuple unique unique_with_counts unravel_index "
    "unstack vectorized_map where zeros zeros_like compat.v1.transpose compat.v1.squeeze "
    "compat.v1.nn.softmax compat.v1.gather ";
constexpr std::string_view k_symbol_effects =
    " io raw_ops py_function numpy_function load_library load_op_library saved_model data "
    "summary train debugging profiler sysconfig autograph autodiff distribute lookup queue print "
    "function graph_util test tpu xla init_scope ";

// A module outside of Keras.
Judgement judge_foreign(std::string_view module, std::string_view name) {
  const pickle::Verdict verdict = pickle::judge_name(module, name.empty() ? "*" : name);
  if (verdict.standing == pickle::Standing::dangerous) return {Standing::dangerous, verdict.effect};
  if (pickle::is_usual_package(module)) return {Standing::foreign};
  return {Standing::custom};
}

bool is_builtins(std::string_view module) {
  return module.empty() || module == "builtins" || module == "__builtin__";
}

} // namespace

bool is_keras_module(std::string_view module) {
  return is_core(module) || is_hub(module);
}

bool is_known_class(std::string_view name) {
  return has(core_classes(), name) || has(hub_classes(), name);
}

Judgement judge_class(std::string_view module, std::string_view name, std::string_view registered) {
  // "Package>Class" asks for what somebody registered under this name, before any module is tried.
  for (const std::string_view full: {registered, name}) {
    const std::size_t split = full.find('>');
    if (split == std::string_view::npos) continue;
    const std::string_view package = full.substr(0, split);
    const std::string_view klass = full.substr(split + 1);
    const bool own = package == "keras" || package == "Keras" || package == "keras_hub" ||
                     package == "keras_nlp" || package == "keras_cv" || package == "tf_keras" ||
                     package == "keras.src";
    if (own && is_known_class(klass)) continue;
    if (module.empty() || is_builtins(module) || is_keras_module(module)) return {Standing::custom};
  }
  const std::size_t split = name.find('>');
  if (split != std::string_view::npos) name.remove_prefix(split + 1);
  if (is_builtins(module)) {
    if (is_known_class(name) || has(k_tensorflow_data, name)) return {};
    // "os.system" as a class_name, as old loaders split it.
    if (const std::size_t dot = name.rfind('.'); dot != std::string_view::npos)
      return judge_foreign(name.substr(0, dot), name.substr(dot + 1));
    if (!module.empty() && name != "function") return judge_foreign("builtins", name);
    return {Standing::custom};
  }
  if (is_core(module)) {
    if (has(core_classes(), name)) return {};
    if (has(k_dangerous_functions, name))
      return {Standing::gadget, "acts on files, the network or Keras' own safety"};
    const std::string_view part = part_of(module);
    if (std::find(k_effects.begin(), k_effects.end(), part) != k_effects.end())
      return {Standing::gadget, "is no part of a model"};
    return {Standing::unknown};
  }
  if (is_hub(module))
    return has(hub_classes(), name) || has(core_classes(), name) ? Judgement{}
                                                                 : Judgement{Standing::unknown};
  if (is_below(module, "tensorflow") && has(k_tensorflow_data, name)) return {};
  return judge_foreign(module, name);
}

Judgement judge_function(std::string_view module, std::string_view name) {
  const std::size_t split = name.find('>');
  if (split != std::string_view::npos) return {Standing::custom};
  if (has(k_dangerous_functions, name) && (is_builtins(module) || is_keras_module(module)))
    return {Standing::gadget, "acts on files, the network or Keras' own safety"};
  if (is_builtins(module)) {
    if (has(functions(), name) || has(operations(), name)) return {};
    const pickle::Verdict verdict = pickle::judge_name("builtins", name);
    if (verdict.standing == pickle::Standing::dangerous)
      return {Standing::dangerous, verdict.effect};
    if (const std::size_t dot = name.rfind('.'); dot != std::string_view::npos)
      return judge_foreign(name.substr(0, dot), name.substr(dot + 1));
    return {Standing::custom};
  }
  if (is_core(module)) {
    const std::string_view part = part_of(module);
    if (std::find(k_effects.begin(), k_effects.end(), part) != k_effects.end())
      return {Standing::gadget, "is no part of a model"};
    return has(functions(), name) || has(operations(), name) ? Judgement{}
                                                             : Judgement{Standing::unknown};
  }
  if (is_hub(module)) return {Standing::unknown};
  return judge_foreign(module, name);
}

Judgement judge_symbol(std::string_view symbol) {
  if (symbol.starts_with("tf.")) symbol.remove_prefix(3);
  if (has(k_symbol_names, symbol)) return {};
  if (symbol.starts_with("compat.v1.")) symbol.remove_prefix(10);
  if (has(k_symbol_names, symbol)) return {};
  const std::string_view first = symbol.substr(0, symbol.find('.'));
  if (has(k_symbol_effects, first) || has(k_dangerous_functions, symbol))
    return {Standing::gadget, "touches files, processes or Python"};
  for (std::size_t dot = symbol.find('.'); dot != std::string_view::npos;
       dot = symbol.find('.', dot + 1))
    if (has(k_symbol_parts, symbol.substr(0, dot))) return {};
  if (first == "keras") return {Standing::gadget, "is no part of a model"};
  return {Standing::unknown};
}

} // namespace hubgate::keras
