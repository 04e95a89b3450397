#include "hook/in_process.hpp"

#include "scanner/core/evidence.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace hubgate {

Result<std::unique_ptr<InProcess>> InProcess::open(WorkerPool& pool, const HookConfig& config,
                                                   const std::string& data,
                                                   const std::string& policy) {
  auto out = std::unique_ptr<InProcess>(new InProcess());
  std::filesystem::path data_dir = !data.empty() ? data : config.data;
  if (data_dir.empty()) data_dir = default_data_dir();
  data_dir = std::filesystem::absolute(data_dir);
  Policy decides = HUBGATE_TRY(Policy::named(!policy.empty() ? policy : config.policy));
  out->keeper_ = HUBGATE_TRY(Gatekeeper::open({.data_dir = data_dir,
                                               .policy = std::move(decides),
                                               .rules = rules_digest(all_formats()),
                                               .workers = &pool}));
  out->scratch_ = data_dir / "tmp";
  if (mkdir(out->scratch_.c_str(), 0700) != 0 && errno != EEXIST)
    return Error{"can't make " + printable(out->scratch_.string(), 300) + ": " +
                 std::strerror(errno)};
  Analyst::Options options;
  options.jobs = std::max(1u, std::thread::hardware_concurrency());
  options.scratch = out->scratch_.string();
  // Nobody waits for what ends after the push has.
  if (config.timeout > 0)
    options.deadline_seconds = std::min(options.deadline_seconds, config.timeout);
  out->analyst_ = std::make_unique<Analyst>(*out->keeper_, pool, options);
  return out;
}

} // namespace hubgate
