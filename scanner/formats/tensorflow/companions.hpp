#pragma once
// What stands beside a graph: keras_metadata.pb, fingerprint.pb and the text file `checkpoint`.
#include "scanner/core/format.hpp"
#include "scanner/core/protobuf.hpp"
#include "scanner/core/session.hpp"

#include <string_view>

namespace hubgate::tensorflow {

/// Reads SavedMetadata (keras_metadata.pb) or FingerprintDef (fingerprint.pb); Reading::none when
/// it is neither.
Reading scan_companion(ProtoInput& input, Session& session, std::uint64_t end);

/// Fields of CheckpointState.
bool is_checkpoint_field(std::string_view name);

/// Reads CheckpointState as text: the paths that tf.train.latest_checkpoint goes to.
Reading scan_checkpoint_state(Source& source, Session& session, std::uint64_t end);

} // namespace hubgate::tensorflow
