/*
 * Rotation of one host, with a store that may be late for ever, an operator, crashes at every commit and effect, and a
 * client. Chapter: spec/06-rotation.md. Run by conformance/system/formal.test.ts:
 *
 *   spin -a -DTIME_MAX=16 rotation.pml && cc -O2 -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -o pan pan.c && ./pan -m200000
 *
 * Time goes in steps of about a minute, with a short interval, so that a run sees three rotations. A place is named by its epoch, which
 * is its port too. What a variant leaves out is said where it is left out; each is caught by the property named there:
 *
 *   EFFECT_FIRST    RT-101~1    listens and publishes before the commit
 *   RETIRE_AT_R     RT-100~1    ends the old place at R
 *   NO_HOLD         RT-107~1    rotates without a verified store
 *   FORGET_OLD      RT-121~1    binds only the primary again behind a crash
 *   EARLY_END       RT-141~1    ends a soft emergency without a verified store
 *   KEEP_NEXT       RT-109~2    an emergency forgets the port that was being prepared
 *   BREAK_FIRST     RT-151~1    the client closes its path before it has the new one
 *   EPOCH_AGAIN     RT-119~1    counts epochs in memory alone
 */
#define PREPARE  3
#define PUBLISH  2
#define VERIFY   1
#define GRACE    2
#define RETIRE   3
#define HOLD     2
#define FLEE     1
#define INTERVAL 7

#ifndef TIME_MAX
#define TIME_MAX 24
#endif
#ifndef CRASHES
#define CRASHES 2
#endif
#ifndef EMERGENCIES
#define EMERGENCIES 2
#endif
#ifndef EPOCHS
#define EPOCHS 8
#endif

mtype = { resting, preparing, publishing, verified, grace, emergency };

byte now;                 /* one clock: what two clocks do is for the simulation */
bool up;                  /* the process runs, and has bound what it has to */
bool idle;                /* the host has done what is due, or is down: time may pass */
byte wake;                /* until this instant */
bool over;                /* this run is over */

/* What the world sees. */
bool open[EPOCHS];        /* a listener on this port */
byte until[EPOCHS];       /* as long as a record that left lists the port */
byte left;                /* the head of the newest record that left */
byte store;               /* the head of the record that the store shows */
byte voided;              /* heads below were taken back by an emergency */
bool stuck;               /* out of epochs: this run is over */

/* The host's memory, and its journal with the same fields. */
typedef Journal {
  mtype phase;
  byte epoch, primary, next, old, other;
  byte rotation;          /* R */
  byte untilPrimary, untilNext, untilOld;
  bool listed;            /* a record lists next */
  byte began;             /* E */
  bool hard
};
Journal m, d;
byte head;                /* of the record in force, in memory and durable */
byte dHead;
byte asked;               /* 1 an emergency, 2 a hard one, 3 a rotation on demand */
byte crashes, emergencies, refusals;

#define MAX(a, b) ((a) > (b) -> (a) : (b))

inline copy(to, from) {
  to.phase = from.phase; to.epoch = from.epoch; to.primary = from.primary; to.next = from.next; to.old = from.old;
  to.other = from.other; to.rotation = from.rotation; to.untilPrimary = from.untilPrimary;
  to.untilNext = from.untilNext; to.untilOld = from.untilOld; to.listed = from.listed; to.began = from.began;
  to.hard = from.hard
}

inline commit() { d_step { copy(d, m); dHead = head } }

inline dieOrNot() {
  if
  :: crashes < CRASHES -> crashes++; goto dead
  :: true
  fi
}

byte i, count;

/* RT-109~2: never more listeners than the chapter says. */
inline listen(e) {
  d_step {
    assert(d.primary == e || d.next == e || d.old == e || d.other == e);   /* RT-101~1 */
    open[e] = true;
    count = 0; i = 1;
    do
    :: i < EPOCHS -> count = count + (open[i] -> 1 : 0); i++
    :: else -> break
    od;
    i = 0;
    assert(count <= (m.phase == emergency -> 3 : 2));
    count = 0
  }
}

/* RT-100~1: what closes is listed by nobody any more, or was taken back. */
inline close(e) {
  d_step {
    if
    :: e > 0 && open[e] ->
       assert(until[e] <= now || e < voided);
       open[e] = false
    :: else
    fi
  }
}

/* A record leaves: what it lists is promised from here on. */
inline leave() {
  d_step {
    assert(dHead == head);                                                 /* RT-101~1 */
    left = head;
    if
    :: m.next > 0 && m.listed ->
       until[m.next] = MAX(until[m.next], m.untilNext)
    :: else
    fi;
    if
    :: m.primary > 0 -> until[m.primary] = MAX(until[m.primary], m.untilPrimary)
    :: else
    fi;
    if
    :: m.phase == emergency -> voided = m.primary
    :: else
    fi
  }
}

/* The invariant, and that whoever reads the newest record gets in, whenever the host has done what is due. */
inline judge() {
  d_step {
    i = 1;
    do
    :: i < EPOCHS ->
       assert(!(until[i] > now && i >= voided) || open[i]);                /* RT-100~1, RT-121~1 */
       until[i] = (until[i] > now -> until[i] : 0);                        /* what is over is all the same */
       i++
    :: else -> break
    od;
    i = 0;
    assert(left == 0 || store != left || open[store])                      /* RT-121~1, RT-123~1 */
  }
}

inline fresh() {
  d_step {
    if
    :: m.epoch + 1 < EPOCHS ->
       m.epoch++;
       assert(m.epoch > left && m.epoch > d.next)                          /* RT-119~1 */
    :: else -> stuck = true
    fi
  }
}

/* One atomic step from one wait to the next: what others do meanwhile they can do just before or just after. */
active proctype Host() {
  byte was, also;
  atomic {
  m.phase = resting;

start:
  i = 0;
  d_step {
    copy(m, d); head = dHead;
#ifdef EPOCH_AGAIN
    m.epoch = m.primary;
#endif
    if
    :: m.phase == 0 -> m.phase = resting
    :: else
    fi;
    /* What is over is not bound again. */
    if
    :: m.primary > 0 && m.untilPrimary + (RETIRE - GRACE) <= now && m.phase != emergency -> m.primary = 0
    :: else
    fi;
    if
    :: m.old > 0 && m.untilOld + (RETIRE - GRACE) <= now && m.phase != emergency -> m.old = 0
    :: else
    fi;
    if
    :: m.next > 0 && m.listed && m.untilNext + (RETIRE - GRACE) <= now -> m.next = 0; m.listed = false
    :: else
    fi;
    if
    :: m.phase == preparing && m.primary == 0 && !m.listed -> m.next = 0; m.phase = resting
    :: else
    fi;
    if
    :: m.phase == grace && m.old == 0 -> m.phase = resting
    :: else
    fi;
    if
    :: m.phase != emergency && m.primary == 0 && m.next == 0 -> m.phase = resting; m.old = 0
    :: else
    fi
  }
  commit();
  if
  :: m.primary > 0 -> listen(m.primary)
  :: else
  fi;
#ifndef FORGET_OLD
  if
  :: m.old > 0 -> listen(m.old)
  :: else
  fi;
  if
  :: m.other > 0 -> listen(m.other)
  :: else
  fi;
  if
  :: m.next > 0 && m.listed -> listen(m.next)
  :: else
  fi;
#endif
  /* RT-123~1, RT-124~1: R passed, or comes too soon. */
  if
  :: head > 0 && (m.primary == head || m.next == head) -> leave()
  :: else
  fi;
  d_step {
    if
    :: m.primary > 0 && m.phase == resting && now + PREPARE > m.rotation -> m.rotation = now + PREPARE
    :: m.phase == preparing && !m.listed && now + PREPARE > m.rotation -> m.rotation = now + PREPARE
    :: (m.phase == publishing || m.phase == verified || m.phase == preparing) && m.listed && now >= m.rotation ->
       m.phase = preparing; m.rotation = now + PUBLISH
    :: else
    fi;
    up = true
  }

  do
  /* Nothing left: a first epoch, or one after everything has ended. */
  :: !stuck && m.phase == resting && m.primary == 0 ->
     fresh();
     if
     :: stuck -> skip
     :: else ->
        d_step { m.next = m.epoch; m.listed = false; m.phase = preparing }
        commit(); dieOrNot();
        listen(m.next);
        d_step {
          m.primary = m.next; m.next = 0; m.phase = (m.old > 0 -> grace : resting); m.rotation = now + INTERVAL;
          m.untilPrimary = m.rotation + GRACE; head = m.primary
        }
        commit(); dieOrNot();
        leave()
     fi

  /* RT-116~1 */
  :: asked == 3 ->
     m.rotation = (m.phase == resting && m.primary > 0 && now + PREPARE < m.rotation -> now + PREPARE : m.rotation);
     asked = 0

  /* R - PREPARE */
  :: !stuck && m.phase == resting && m.primary > 0 && asked == 0 && now + PREPARE >= m.rotation ->
     fresh();
     if
     :: stuck -> skip
     :: else ->
        d_step { m.next = m.epoch; m.listed = false; m.phase = preparing }
#ifdef EFFECT_FIRST
        listen(m.next); dieOrNot(); commit()
#else
        commit(); dieOrNot();
        if
        :: listen(m.next)
        :: refusals < 2 -> refusals++
        fi
#endif
     fi
  :: m.phase == preparing && m.next > 0 && !open[m.next] && asked == 0 ->
     /* Another port, or the same one again, now or after a hold. */
     if
     :: listen(m.next)
     :: refusals < 2 && now + PUBLISH >= m.rotation -> refusals++; m.rotation = m.rotation + HOLD; commit()
     fi

  /* R - PUBLISH */
  :: m.phase == preparing && m.next > 0 && open[m.next] && asked == 0 && now + PUBLISH >= m.rotation ->
     d_step {
       m.phase = publishing; m.listed = true; head = m.next;
       m.untilNext = m.rotation + INTERVAL + GRACE;
       m.untilPrimary = MAX(m.untilPrimary, m.rotation + GRACE)
     }
#ifdef EFFECT_FIRST
     leave(); dieOrNot(); commit()
#else
     commit(); dieOrNot();
     leave()
#endif

  /* A store was verified */
  :: m.phase == publishing && store == m.next -> m.phase = verified; commit(); dieOrNot()

  /* R - VERIFY */
  :: m.phase == publishing && store != m.next && asked == 0 && now + VERIFY >= m.rotation ->
#ifdef NO_HOLD
     m.phase = verified; commit()
#else
     d_step { m.rotation = m.rotation + HOLD; m.phase = preparing }
     commit(); dieOrNot()
#endif

  /* R */
  :: m.phase == verified && asked == 0 && now >= m.rotation ->
     d_step {
       assert(store == m.next);                                            /* RT-107~1 */
       m.old = m.primary; m.untilOld = m.untilPrimary;
       m.primary = m.next; m.untilPrimary = m.untilNext; m.next = 0; m.listed = false;
       m.phase = (m.old > 0 -> grace : resting);
       m.rotation = m.rotation + INTERVAL
     }
     commit(); dieOrNot()

  /* R + RETIRE */
#ifdef RETIRE_AT_R
  :: m.phase == grace ->
#else
  :: m.phase == grace && now >= m.untilOld + (RETIRE - GRACE) ->
#endif
     d_step { was = m.old; m.old = 0; m.phase = resting }
     commit(); dieOrNot();
     close(was)
  /* Still in the grace when the next rotation should begin. */
  :: m.phase == grace && asked == 0 && now < m.untilOld + (RETIRE - GRACE) && now + PREPARE >= m.rotation ->
     d_step { m.rotation = m.rotation + HOLD; m.untilPrimary = MAX(m.untilPrimary, m.rotation + GRACE) }
     commit(); dieOrNot();
     leave()

  /* E */
  :: !stuck && m.phase != emergency && (asked == 1 || asked == 2) && m.primary > 0 ->
     d_step {
       was = 0;
       if
       :: m.next > 0 && !m.listed -> was = m.next; m.next = 0
       :: else
       fi;
#ifdef KEEP_NEXT
       was = 0;
#endif
       if
       :: m.next > 0 -> m.other = m.primary; m.old = m.next
       :: else -> m.other = m.old; m.old = m.primary
       fi;
       m.next = 0; m.listed = false; m.primary = 0; m.phase = emergency; m.began = now; m.hard = (asked == 2);
       asked = 0
     }
     commit(); dieOrNot();
     if
     :: was > 0 && open[was] -> d_step { open[was] = false }
     :: else
     fi
  :: !stuck && m.phase == emergency && m.primary == 0 && m.next == 0 ->
     fresh();
     if
     :: stuck -> skip
     :: else -> m.next = m.epoch; commit(); dieOrNot()
     fi
  :: m.phase == emergency && m.next > 0 && !open[m.next] -> listen(m.next)
  :: m.phase == emergency && m.next > 0 && open[m.next] ->
     d_step {
       m.primary = m.next; m.next = 0; m.rotation = now + INTERVAL; m.untilPrimary = m.rotation + GRACE;
       head = m.primary
     }
     commit(); dieOrNot();
     leave()
#ifdef EARLY_END
  :: m.phase == emergency && m.primary > 0 && now >= m.began + FLEE ->
#else
  :: m.phase == emergency && m.primary > 0 && now >= m.began + FLEE && (m.hard || store == m.primary) ->
#endif
     d_step {
       assert(m.hard || store == m.primary);                               /* RT-141~1 */
       was = m.old; also = m.other; m.old = 0; m.other = 0; m.phase = resting
     }
     commit(); dieOrNot();
     close(was); close(also)
  /* It waits for a store: R waits too. */
  :: m.phase == emergency && m.primary > 0 && !m.hard && store != m.primary && now >= m.began + FLEE &&
       now + PREPARE >= m.rotation ->
     d_step { m.rotation = m.rotation + HOLD; m.untilPrimary = MAX(m.untilPrimary, m.rotation + GRACE) }
     commit(); dieOrNot();
     leave()
  /* RT-142~1: what is asked for meanwhile stays asked for; a hard one hardens this one. */
  :: m.phase == emergency && asked == 2 && !m.hard -> m.hard = true; commit(); dieOrNot()

  :: stuck -> break

  /* Nothing is due. */
  :: else ->
     judge();
     if
     :: now >= TIME_MAX -> break
     :: now < TIME_MAX -> wake = now + 1; idle = true; !idle; wake = 0
     :: now < TIME_MAX && crashes < CRASHES -> crashes++; goto dead
     fi
  od;
  over = true;
  goto end;

dead:
  i = 0;
  d_step {
    up = false;
    i = 1;
    do
    :: i < EPOCHS -> open[i] = false; i++
    :: else -> break
    od;
    i = 0; was = 0; also = 0
  }
  /* Up again at once, soon, or when everything has ended. */
  if
  :: goto start
  :: now + 2 <= TIME_MAX -> wake = now + 2; idle = true; !idle; wake = 0; goto start
  :: now + 12 <= TIME_MAX -> wake = now + 12; idle = true; !idle; wake = 0; goto start
  fi;

end:
  skip
  }
}

active proctype Clock() {
  do
  :: atomic { idle -> now++; if :: now >= wake -> idle = false :: else fi }
  :: over -> break
  od
}

/* It takes what was published at any time, or never. */
active proctype Store() {
  do
  :: atomic { !over && store != left -> store = left }
  :: over -> break
  od
}

active proctype Operator() {
  do
  :: atomic {
       !over && up && asked == 0 && emergencies < EMERGENCIES ->
       emergencies++;
       if
       :: asked = 1
       :: asked = 2
       :: asked = 3
       fi
     }
  :: over -> break
  od
}

active proctype Client() {
  byte record, path;
  do
  /* A notice reaches whoever is inside, and each moves when it likes. */
  :: atomic { path > 0 && open[path] && left > record -> record = left }
  :: atomic {
       path > 0 && record != path && open[path] && open[record] ->
#ifdef BREAK_FIRST
       path = 0
#else
       path = record
#endif
       ;
       assert(path > 0)                                                    /* RT-151~1 */
     }
  :: atomic { path > 0 && !open[path] -> path = 0 }
  :: atomic { path == 0 && store > record -> record = store }
  :: atomic { path == 0 && record > 0 && open[record] -> path = record }
  :: over -> break
  od
}
