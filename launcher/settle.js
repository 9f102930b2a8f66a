'use strict';
// The step's post hook. A file of its own, because nothing in the environment tells a main hook
// from a post hook for certain, and a release must not run twice.
require('../launch').start('settle');
