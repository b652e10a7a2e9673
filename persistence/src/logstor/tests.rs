mod crash;
mod damage;
mod groups;
mod life;
mod model;
mod rewriting;
mod space;
mod support;
