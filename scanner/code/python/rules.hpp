#pragma once
// The rules of the analysis of Python: one an effect, whatever the carrier.
#include "scanner/core/format.hpp"

#include <cstddef>

namespace hubgate::python {

enum class R : std::size_t {
  remote_control,
  theft,
  reconnaissance,
  execution,
  download_run,
  shellcode,
  persistence,
  destruction,
  propagation,
  miner,
  evasion,
  hidden_call,
  hidden_source,
  hidden_code,
  beacon,
  command,
  install_hook,
  entry_point,
  proof_of_concept,
  count,
};

const Rule& rule(R);

} // namespace hubgate::python
