#pragma once
// TorchScript: the code that torch.jit.save writes beside the weights, in its own small Python
// dialect (torch/csrc/jit/serialization/python_print.cpp), and the operator names of mobile
// bytecode. It can't import anything; what it can do is what its operators do, so each operator
// that is named is judged (names from torch/csrc/jit/runtime/register_*.cpp and the libraries'
// own).
#include "scanner/core/session.hpp"

#include <span>
#include <string_view>

namespace hubgate::pytorch {

enum class Effect {
  none,    ///< computes
  unknown, ///< of a library that is not known here
  files,   ///< reads or writes a file by name
  network, ///< talks to other machines
  hooks,   ///< runs whoever registered for it
};

/// What an operator does: "aten" and "save".
Effect effect_of(std::string_view space, std::string_view name);

/// Judges the source text of one code/*.py: reports rules pytorch-script-effect and
/// pytorch-script-operator. `offset` is where the text lies in the stream, `name` what it is
/// called.
void judge_script(Session& session, std::string_view text, std::string_view name,
                  std::uint64_t offset);

/// The same for bytes that name operators as "aten::save": bytecode.pkl, flatbuffers.
void judge_operators(Session& session, std::string_view bytes, std::string_view name,
                     std::uint64_t offset);

inline constexpr Rule k_rule_script_effect{"pytorch-script-effect",
                                           "dangerous-call",
                                           Severity::malicious,
                                           Reach::load,
                                           "CWE-73",
                                           "AML.T0011.000",
                                           "PTH-011",
                                           "TorchScript code that reads or writes files, or talks "
                                           "to other machines, when the model is loaded or run"};
inline constexpr Rule k_rule_script_operator{
    "pytorch-script-operator",
    "unknown-call",
    Severity::suspicious,
    Reach::load,
    "CWE-829",
    "AML.T0011.000",
    "PTH-011",
    "TorchScript code that calls an operator of a library that hubgate does not know, or hides "
    "which one it calls"};

} // namespace hubgate::pytorch
