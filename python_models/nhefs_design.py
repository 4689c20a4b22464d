def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "nhefs",
        dbt.config.meta_get("study"),
        units=dbt.ref("nhefs_units"),
        session=session,
        scores=dbt.ref("nhefs_scores"),
    )
