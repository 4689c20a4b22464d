def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "scale",
        dbt.config.meta_get("study"),
        units=dbt.ref("scale_units"),
        session=session,
        scores=dbt.ref("scale_scores"),
    )
