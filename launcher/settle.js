'use strict';
// The post hook of the step: both hosts run it after the job's last step, also after a cancellation.

require('../launch').settle();
