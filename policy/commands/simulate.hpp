#pragma once
// `hubgate policy simulate`: the recorded past under another policy. Internal to the commands.
#include "policy/commands/shared.hpp"

namespace hubgate {

struct Simulate {
  std::string policy;
  std::filesystem::path data;
  std::string since;
  std::string format = "text";
};

int simulate(const Simulate& flags);

} // namespace hubgate
