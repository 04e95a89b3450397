#pragma once
// The YARA rules of a policy: its key `yara` names files, which are read and compiled with it.
#include "policy/policy.hpp"
#include "scanner/worker/worker.hpp"
#include "scanner/yara/yara.hpp"

namespace hubgate {

/// Reads what the key `yara` of a policy names: files, or globs for names of files, relative to
/// `folder` ("" = nowhere: the key is an error). Null when there is no such key or something is
/// wrong, which is noted.
std::shared_ptr<const yara::Compiled> read_yara(yaml::Mapping& top,
                                                const std::filesystem::path& folder);

/// Gives the workers the YARA rules of the policy, or none if it has none. An error: they have
/// those they had.
Result<void> give_rules(WorkerPool& pool, const Policy& policy);

/// Digest of all that can change a report: `rules` (rules_digest()) and the policy's YARA rules.
std::string with_yara(const std::string& rules, const Policy& policy);

} // namespace hubgate
