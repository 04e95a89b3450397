#pragma once
// StreamInspector: something besides the formats that reads every stream of an object whole: rules
// that an organisation brings with its policy (scanner/yara). What it will say is not settled
// before it has seen the last byte, so while there is one, nothing of the object is released before
// the verdict and nothing is given up as inert.
#include "scanner/core/session.hpp"

namespace hubgate {

class StreamInspector {
public:
  virtual ~StreamInspector() = default;
  /// Another object begins.
  virtual void begin() = 0;
  /// Reads the stream to its end (waiting for it, if it still arrives) and reports to the session
  /// like a format. The budget does not run meanwhile: it bounds its own time.
  virtual void inspect(Source& source, Session& session) = 0;
};

/// scan_object() with an inspector (may be null), which outlives the call.
Report scan_object(FormatTable formats, Source& source, const Limits& limits, ReportSink* sink,
                   StreamInspector* inspector);

} // namespace hubgate
