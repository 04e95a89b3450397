#pragma once
// The process that forks workers and does nothing else. Internal to scanner/worker.
#include "scanner/core/budget.hpp"
#include "scanner/core/format.hpp"
#include "scanner/worker/worker.hpp"

#include <cstdint>
#include <span>

namespace hubgate {

/// One datagram to the parent. Descriptors travel beside it: the answer's write end first, then
///   k_spool: memory, disk, state    k_file: file    k_batch: file, list of BatchItem
///   k_repository: the bundle of a repository's code    k_objects: questions, answers
///   k_service: questions, answers; `size` is the service's place in the list
/// k_rules is no job: its only descriptor holds `size` bytes of compiled YARA rules (none: no rules
/// any more) for all jobs that come after it.
struct JobMessage {
  static constexpr std::uint32_t k_spool = 1, k_file = 2, k_batch = 3, k_kill = 4, k_repository = 5,
                                 k_rules = 6, k_objects = 7, k_service = 8;
  std::uint32_t kind = 0;
  std::uint64_t id = 0;
  std::uint64_t size = 0;
  Limits limits;
};

inline constexpr std::size_t k_max_job_fds = 4;
inline constexpr int k_exit_out_of_memory = 71;

/// Serves jobs until `control` closes, then kills what still runs and exits.
[[noreturn]] void run_worker_parent(int control, FormatTable formats,
                                    std::span<const WorkerService> services);

} // namespace hubgate
