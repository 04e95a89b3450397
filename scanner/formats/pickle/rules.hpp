#pragma once
// The rules of the pickle family. Data: reviewed like code, listed in README.md.
#include "scanner/core/format.hpp"

namespace hubgate::pickle {

enum class R : std::uint8_t {
  dangerous_call,
  dangerous_import,
  unknown_call,
  unknown_class,
  computed_callee,
  computed_name,
  extension,
  extension_code,
  malformed_name,
  state_injection,
  argument_shape,
  hooks,
  callable_state,
  upload_state,
  persistent_id,
  out_of_band,
  item_target,
  tensor_extent,
  nested,
  encoded,
  frame_straddle,
  frame_structure,
  broken_after_call,
  memo_slot,
  literal_base,
  literal_nul,
  literal_boolean,
  number_size,
  protocol,
  residue,
  data_after_stop,
  several,
  expansion,
  recursive,
  behind_junk,
  skops_name,
  count_,
};

std::span<const Rule> rules();
const Rule& rule(R id);

} // namespace hubgate::pickle
