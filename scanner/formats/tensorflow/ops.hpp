#pragma once
// What TensorFlow's operators can do beyond arithmetic. The names come from the op registry itself
// (op_names.cpp), the effects from each operator's documentation and kernel (op_effects.cpp). Used
// by every format that carries TensorFlow operators: SavedModel, GraphDef, TFLite's Flex delegate.
#include <cstdint>
#include <span>
#include <string_view>

namespace hubgate::tensorflow {

enum class Effect : std::uint8_t {
  none,
  read_file,        ///< reads a file that it is told, or lists a folder
  read_records,     ///< the same, as a data set: ordinary in graphs that were saved for training
  table_file,       ///< fills a table from a file: a vocabulary in the model's assets
  write_file,       ///< writes or removes a file that it is told
  read_checkpoint,  ///< restores variables
  write_checkpoint, ///< saves variables
  network,          ///< opens a connection or waits for one
  distributed,      ///< exchanges tensors with other tasks of the same job
  python,           ///< calls a Python function of the process
  process,          ///< ends the process
  configure,        ///< changes how the process reaches files
  native,           ///< calls native code that is registered under a name
  library,          ///< comes from a native library beside TensorFlow
  accelerator,      ///< talks between an accelerator and its host
};

struct OpEffect {
  std::string_view op;
  Effect effect = Effect::none;
  int path_input = -1;        ///< index of the input that says which file or address, -1 = none
  std::string_view path_attr; ///< attribute that does, "" = none; without a value the op is `none`
};

/// True for every operator of TensorFlow and its usual add-ons.
bool is_registered(std::string_view op);

/// What the operator does; Effect::none for arithmetic and for names that are not registered.
OpEffect effect_of(std::string_view op);

/// "writes a file", "opens a connection"…
std::string_view words_of(Effect effect);

/// The table, sorted by name: for the test that holds it against the registry.
std::span<const OpEffect> op_effects();

} // namespace hubgate::tensorflow
