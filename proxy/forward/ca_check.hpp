#pragma once
// What a person's machine still lacks to reach hubs through the gate as a forward proxy: looks at
// the environment and the files where each tool keeps its certificates; changes nothing.
#include "proxy/tls/x509.hpp"

#include <functional>
#include <string>
#include <vector>

namespace hubgate {

/// Where the check looks; tests have their own.
struct Machine {
  std::function<std::string(const std::string&)> variable; ///< of the environment; "" when not set
  std::string home;
  std::vector<std::string> stores; ///< bundles of the system, in the order that they are looked for
};
Machine this_machine();

struct Check {
  enum class State { ok, missing, unused } state;
  std::string what;   ///< "Python (huggingface_hub)"
  std::string detail; ///< what was found
  std::string remedy; ///< a command; "" when nothing is to be done
};

/// `ca_file`: where the authority lies on this machine; `proxy`: the URL to be used, or "".
std::vector<Check> check_machine(const Machine& machine, const std::string& ca_file,
                                 const std::string& proxy);

/// How each tool is told to trust `ca_file`: what `ca init` and `ca export` print.
std::string instructions(const std::string& ca_file, const std::string& proxy);

} // namespace hubgate
